"""The indicators stored for every candle, continued from run to run.

    [btc, eth] = continue_indicators([SeriesState(), stored_eth_state], [btc_candles, new_eth_candles])
    btc.values["rsi_14"]; eth.state.to_json()

Any way of cutting the candles into runs gives bit-equal values. They equal `indicators.series` over the same
candles up to rounding, and are NaN at the same places.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from missiondesk.market.candles import Candles, FloatArray
from missiondesk.market.indicators import Indicator, indicator
from missiondesk.market.panel import Calculation, Continuation, Panel, SeriesState
from missiondesk.market.ratios import ratios
from missiondesk.market.recursion import Smoothing, exponential, smooth, wilder
from missiondesk.market.windows import window_deviations, window_means

STORED: Final[dict[str, Indicator]] = {
    "sma_20": indicator("sma", {"length": 20}),
    "ema_12": indicator("ema", {"length": 12}),
    "ema_26": indicator("ema", {"length": 26}),
    "rsi_14": indicator("rsi", {"length": 14}),
    "macd": indicator("macd"),
    "macd_signal": indicator("macd_signal"),
    "macd_hist": indicator("macd_hist"),
    "adx_14": indicator("adx", {"length": 14}),
    "atr_14": indicator("atr", {"length": 14}),
    "bollinger_upper": indicator("bollinger_upper"),
    "bollinger_middle": indicator("bollinger_middle"),
    "bollinger_lower": indicator("bollinger_lower"),
    "volume_mean": indicator("volume_mean", {"length": 20}),
}
"""Stored name → the operand with the same value."""

_WINDOW: Final = 20
_DEVIATIONS: Final = 2.0

# The MACD's fast EMA starts late, so that both of its EMAs have their first value at the same candle.
_OF_CANDLES: Final[dict[str, Smoothing]] = {
    "ema_12": exponential(12),
    "ema_26": exponential(26),
    "macd_fast": exponential(12, start=26 - 12),
    "gain": wilder(14, start=1),
    "loss": wilder(14, start=1),
    "true_range": wilder(14, start=1),
    "plus_movement": wilder(14),
    "minus_movement": wilder(14),
}
_OF_THOSE: Final[dict[str, Smoothing]] = {
    "macd_signal": exponential(9, start=26 - 1),
    "adx": wilder(14, start=14),
}


def continue_indicators(states: Sequence[SeriesState], candles: Sequence[Candles]) -> list[Continuation]:
    """Values for the new closed candles of each market, by the names of STORED.

    candles[i] follow those that states[i] has seen. Raises ValueError when they do not.
    """
    return _CALCULATION.continued(states, candles)


def _compute(panel: Panel, before: FloatArray) -> tuple[dict[str, FloatArray], FloatArray]:
    first = smooth([*_OF_CANDLES.values()], before[: len(_OF_CANDLES)], panel.seen, _inputs(panel))
    mean = {name: first[:, place] for place, name in enumerate(_OF_CANDLES)}
    macd = mean["macd_fast"] - mean["ema_26"]
    index = _directional_index(mean["plus_movement"], mean["minus_movement"])
    derived = np.stack([macd, index], axis=1)
    second = smooth([*_OF_THOSE.values()], before[len(_OF_CANDLES) :], panel.seen, derived)
    signal, adx = second[:, 0], second[:, 1]
    closes = panel.reaching_back("close")
    middle = window_means(closes, _WINDOW)
    reach = _DEVIATIONS * window_deviations(closes, _WINDOW)
    values = {
        "sma_20": middle,
        "ema_12": mean["ema_12"],
        "ema_26": mean["ema_26"],
        "rsi_14": _relative_strength(mean["gain"], mean["loss"]),
        "macd": macd,
        "macd_signal": signal,
        "macd_hist": macd - signal,
        "adx_14": adx,
        "atr_14": mean["true_range"],
        "bollinger_upper": middle + reach,
        "bollinger_middle": middle,
        "bollinger_lower": middle - reach,
        "volume_mean": window_means(panel.reaching_back("volume"), _WINDOW),
    }
    return values, np.concatenate([first, second], axis=1)


def _inputs(panel: Panel) -> FloatArray:
    """What is smoothed of each new candle, in the order of _OF_CANDLES: shape (rows, smoothings, markets)."""
    high, low, close = panel.new("high"), panel.new("low"), panel.new("close")
    close_before = panel.before("close")
    change = close - close_before
    up, down = high - panel.before("high"), panel.before("low") - low
    by_name = {
        "ema_12": close,
        "ema_26": close,
        "macd_fast": close,
        "gain": np.maximum(change, 0),
        "loss": np.maximum(-change, 0),
        "true_range": np.maximum(high, close_before) - np.minimum(low, close_before),
        "plus_movement": np.where((up > 0) & (up > down), up, 0.0),
        "minus_movement": np.where((down > 0) & (down > up), down, 0.0),
    }
    return np.stack([by_name[name] for name in _OF_CANDLES], axis=1)


def _relative_strength(gain: FloatArray, loss: FloatArray) -> FloatArray:
    """100 · gain / (gain + loss); NaN where prices never moved."""
    return ratios(100 * gain, gain + loss)


def _directional_index(plus: FloatArray, minus: FloatArray) -> FloatArray:
    """100 · |plus − minus| / (plus + minus) (the true range cancels out); NaN without movement."""
    return ratios(100 * np.abs(plus - minus), plus + minus)


_CALCULATION: Final = Calculation(
    needed={name: spec.needed for name, spec in STORED.items()},
    reach={"high": 1, "low": 1, "close": _WINDOW - 1, "volume": _WINDOW - 1},
    smoothings=len(_OF_CANDLES) + len(_OF_THOSE),
    compute=_compute,
)
