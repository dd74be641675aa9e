"""Templates on what the desk makes of a market: its regime, and the signal that follows.

Both are read from the desk's tables while these hold the newest closed candle. Otherwise they are computed on
the fly from closed candles, by the rules and default thresholds of `market.regime` and `market.signals`. The
message says which, as of which candle, and how old the tables are.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Protocol, runtime_checkable

from pydantic import BeforeValidator, Field

from missiondesk.market.candles import Candles
from missiondesk.market.regime import Regime, regime_at
from missiondesk.market.signals import Action, signal_at
from missiondesk.templates.compare import number_format
from missiondesk.templates.context import Context
from missiondesk.templates.operand import Source, described
from missiondesk.templates.params import CandleParams
from missiondesk.templates.registry import template
from models.result import Verdict

CANDLES: Final = 720
"""Closed candles looked at: enough for every indicator involved to have forgotten where they begin."""


@dataclass(frozen=True)
class StoredState:
    """A stored regime and the signal that followed, of the candle that `opened` then.

    fresh: whether that is the newest closed candle. confidence: 0–100; reason: the signal's first one.
    """

    opened: datetime
    fresh: bool
    regime: Regime
    adx: float
    in_channel_percent: float
    action: Action
    confidence: float
    reason: str


@runtime_checkable
class StoredStates(Protocol):
    """Markets that know tables of regimes and signals."""

    def stored_state(self, exchange: str, symbol: str, timeframe: str, now: datetime) -> StoredState | None:
        """The newest that was known at `now`; None where there is none."""
        ...


def _lower_case(given: Any) -> Any:
    return given.lower() if isinstance(given, str) else given


class RegimeIsParams(CandleParams):
    regime: Annotated[Regime, BeforeValidator(_lower_case)]


class SignalIsParams(CandleParams):
    signal: Annotated[Action, BeforeValidator(_lower_case)]
    min_confidence: float = Field(default=0, ge=0, le=100)


@template("regime_is", kind="data")
def regime_is(context: Context, params: RegimeIsParams) -> Verdict:
    """The market is `trending` or `ranging`, by its ADX(14) and the closes inside its EMA channel."""
    source = _source(context, params)
    stored = _stored(context, source)
    if stored is not None and stored.fresh:
        found, adx, inside = stored.regime, stored.adx, stored.in_channel_percent
        read = _from_table(source, stored)
    else:
        candles, read = _closed(context, source, stored)
        found, channel, adx = regime_at(candles)
        inside = channel.in_channel_percent
    args = {"regime": str(found), "adx": adx, "inside": inside, "needed": str(params.regime), "read": read}
    shown = f"ADX(14)={{adx{number_format(adx)}}}, {{inside:g}}% in the EMA channel"
    text = f"regime={{regime}} ({shown}), needs {{needed}} ({{read}})"
    return Verdict(found is params.regime, "REGIME_IS", text, args)


@template("signal_is", kind="data")
def signal_is(context: Context, params: SignalIsParams) -> Verdict:
    """The trading signal is `buy`, `sell` or `hold`, with at least `min_confidence` of 100."""
    source = _source(context, params)
    stored = _stored(context, source)
    if stored is not None and stored.fresh:
        action, confidence, reason = stored.action, stored.confidence, stored.reason
        read = _from_table(source, stored)
    else:
        candles, read = _closed(context, source, stored)
        found, _ = signal_at(candles)
        action, confidence, reason = found.action, found.confidence, found.reasons[0]
    args = {
        "signal": str(action),
        "confidence": confidence,
        "reason": reason,
        "needed": str(params.signal),
        "least": params.min_confidence,
        "read": read,
    }
    text = "signal={signal} {confidence} ({reason}), needs {needed} of at least {least:g} ({read})"
    passed = action is params.signal and confidence >= params.min_confidence
    return Verdict(passed, "SIGNAL_IS", text, args)


def _source(context: Context, params: CandleParams) -> Source:
    return Source(params.exchange or context.exchange, params.symbol, params.timeframe)


def _stored(context: Context, source: Source) -> StoredState | None:
    if not isinstance(context.markets, StoredStates) or source.timeframe is None:
        return None
    return context.markets.stored_state(source.exchange, source.symbol, source.timeframe, context.now)


def _from_table(source: Source, stored: StoredState) -> str:
    return f"from the table: {source.market} {source.timeframe}, candle {stored.opened:%Y-%m-%dT%H:%MZ}"


def _closed(context: Context, source: Source, stored: StoredState | None) -> tuple[Candles, str]:
    assert source.timeframe is not None
    candles = context.markets.closed_candles(
        source.exchange, source.symbol, source.timeframe, CANDLES, context.now
    )
    read = f"computed on the fly: {described(source, candles)}"
    if stored is not None:
        read += f"; the table is stale, its newest candle is {stored.opened:%Y-%m-%dT%H:%MZ}"
    return candles, read
