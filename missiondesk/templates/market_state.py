"""Templates on what the desk makes of a market: its regime, and the signal that follows.

Both are computed on the fly from closed candles, by the rules and default thresholds of `market.regime` and
`market.signals`; the message says so, and as of which candle.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

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
    candles, read = _closed(context, params)
    found, channel, adx = regime_at(candles)
    args = {
        "regime": str(found),
        "adx": adx,
        "inside": channel.in_channel_percent,
        "needed": str(params.regime),
        "read": read,
    }
    shown = f"ADX(14)={{adx{number_format(adx)}}}, {{inside:g}}% in the EMA channel"
    text = f"regime={{regime}} ({shown}), needs {{needed}} ({{read}})"
    return Verdict(found is params.regime, "REGIME_IS", text, args)


@template("signal_is", kind="data")
def signal_is(context: Context, params: SignalIsParams) -> Verdict:
    """The trading signal is `buy`, `sell` or `hold`, with at least `min_confidence` of 100."""
    candles, read = _closed(context, params)
    found, _ = signal_at(candles)
    args = {
        "signal": str(found.action),
        "confidence": found.confidence,
        "reason": found.reasons[0],
        "needed": str(params.signal),
        "least": params.min_confidence,
        "read": read,
    }
    text = "signal={signal} {confidence} ({reason}), needs {needed} of at least {least:g} ({read})"
    passed = found.action is params.signal and found.confidence >= params.min_confidence
    return Verdict(passed, "SIGNAL_IS", text, args)


def _closed(context: Context, params: CandleParams) -> tuple[Candles, str]:
    source = Source(params.exchange or context.exchange, params.symbol, params.timeframe)
    candles = context.markets.closed_candles(
        source.exchange, source.symbol, params.timeframe, CANDLES, context.now
    )
    return candles, f"computed on the fly: {described(source, candles)}"
