"""Templates on what the desk makes of a market: its regime, and the signal that follows.

Both are read from the desk's tables while these hold the newest closed candle. Otherwise they are computed on
the fly from closed candles, by the same rules and thresholds. The message says which, as of which candle, and
how old the tables are.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field

from missiondesk.market.candles import Candles
from missiondesk.market.regime import Regime, RegimeSettings, regime_at
from missiondesk.market.signal_settings import SignalSettings
from missiondesk.market.signals import Action, signal_at
from missiondesk.templates.compare import number_format
from missiondesk.templates.context import Context
from missiondesk.templates.params import CandleParams
from missiondesk.templates.registry import template
from missiondesk.templates.source import Source
from missiondesk.templates.stored import StoredMarketData, StoredState, from_table, on_the_fly, stale
from models.result import Verdict

CANDLES: Final = 720
"""Closed candles looked at: enough for every indicator involved to have forgotten where they begin."""


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
        read = from_table(source, stored)
    else:
        candles, read = _closed(context, source, stored)
        found, channel, adx = regime_at(candles, _thresholds(context)[0])
        inside = channel.in_channel_percent
    args = {"regime": str(found), "adx": adx, "inside": inside, "needed": str(params.regime), "read": read}
    shown = f"ADX(14)={{adx{number_format(adx)}}}, {{inside:g}}% in the EMA channel"
    text = f"regime={{regime}} ({shown}), needs {{needed}} ({{read}})"
    return Verdict(found is params.regime, "REGIME_IS", text, args)


@template("signal_is", kind="data")
def signal_is(context: Context, params: SignalIsParams) -> Verdict:
    """The trading signal is `buy`, `sell` or `hold`, not cancelled, of at least `min_confidence` of 100."""
    source = _source(context, params)
    stored = _stored(context, source)
    cancelled = stored is not None and stored.fresh and stored.cancelled
    if stored is not None and stored.fresh:
        action, confidence, reason = stored.action, stored.confidence, stored.reason
        read = from_table(source, stored) + (", cancelled" if cancelled else "")
    else:
        candles, read = _closed(context, source, stored)
        regime_rules, rules = _thresholds(context)
        found, _ = signal_at(candles, rules, regime_rules)
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
    passed = action is params.signal and confidence >= params.min_confidence and not cancelled
    return Verdict(passed, "SIGNAL_IS", text, args)


def _source(context: Context, params: CandleParams) -> Source:
    return Source(params.exchange or context.exchange, params.symbol, params.timeframe)


def _stored(context: Context, source: Source) -> StoredState | None:
    markets = context.markets
    return (
        markets.stored_state(source, CANDLES, context.now) if isinstance(markets, StoredMarketData) else None
    )


def _thresholds(context: Context) -> tuple[RegimeSettings, SignalSettings]:
    markets = context.markets
    if isinstance(markets, StoredMarketData):
        return markets.thresholds()
    return RegimeSettings(), SignalSettings()


def _closed(context: Context, source: Source, stored: StoredState | None) -> tuple[Candles, str]:
    assert source.timeframe is not None
    candles = context.markets.closed_candles(
        source.exchange, source.symbol, source.timeframe, CANDLES, context.now
    )
    return candles, on_the_fly(source, candles, stale(stored.opened) if stored is not None else "")
