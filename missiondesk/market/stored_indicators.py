"""The indicators stored for every candle, continued from run to run.

    values, states = INDICATORS.continued(states, new_candles)
    values["rsi_14"]

Any way of cutting the candles into runs gives bit-equal values. They equal `indicators.series` over the same
candles up to rounding, and are NaN at the same places.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from missiondesk.market.candles import FloatArray
from missiondesk.market.indicators import Indicator, indicator
from missiondesk.market.panel import Calculation, Panel
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

_SAME: Final = {"bollinger_middle": "sma_20"}
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


def _smoothed(panel: Panel, before: FloatArray, after: FloatArray) -> dict[str, FloatArray]:
    count = len(_OF_CANDLES)
    mean = {name: after[:, place] for place, name in enumerate(_OF_CANDLES)}
    macd, index = after[:, count], after[:, count + 1]
    _lay_out(panel, mean)
    smooth([*_OF_CANDLES.values()], before[:count], panel.seen, after[:, :count])
    np.subtract(mean["macd_fast"], mean["ema_26"], out=macd)
    plus, minus = mean["plus_movement"], mean["minus_movement"]
    # The true range cancels out. Without movement there is no index.
    index[:] = ratios(np.abs(plus - minus) * 100, plus + minus)
    values = {
        "ema_12": mean["ema_12"],
        "ema_26": mean["ema_26"],
        "rsi_14": ratios(mean["gain"] * 100, mean["gain"] + mean["loss"]),
        "macd": macd.copy(),
        "atr_14": mean["true_range"],
    }
    smooth([*_OF_THOSE.values()], before[count:], panel.seen, after[:, count:])
    return values | {"macd_signal": macd, "adx_14": index}


def _lay_out(panel: Panel, place: Mapping[str, FloatArray]) -> None:
    """Put what is smoothed of each candle into its place."""
    high, low, close = panel.down("high"), panel.down("low"), panel.down("close")
    new_high, new_low, new, last = high[1:], low[1:], close[1:], close[:-1]
    for name in ("ema_12", "ema_26", "macd_fast"):
        place[name][:] = new
    change = new - last
    np.maximum(change, 0, out=place["gain"])
    np.subtract(place["gain"], change, out=place["loss"])
    np.subtract(np.maximum(new_high, last), np.minimum(new_low, last), out=place["true_range"])
    up, down = new_high - high[:-1], low[:-1] - new_low
    # Products and not choices: nobody can predict which way prices went.
    np.multiply(up, up > np.maximum(down, 0), out=place["plus_movement"])
    np.multiply(down, down > np.maximum(up, 0), out=place["minus_movement"])


def _windowed(columns: Mapping[str, FloatArray], values: Mapping[str, FloatArray]) -> None:
    np.subtract(values["macd"], values["macd_signal"], out=values["macd_hist"])
    values["volume_mean"][:] = window_means(columns["volume"], _WINDOW)
    middle, reach = window_deviations(columns["close"], _WINDOW)
    reach *= _DEVIATIONS
    values["sma_20"][:] = middle
    np.add(middle, reach, out=values["bollinger_upper"])
    np.subtract(middle, reach, out=values["bollinger_lower"])


INDICATORS: Final = Calculation(
    needed={name: spec.needed for name, spec in STORED.items() if name not in _SAME},
    same=_SAME,
    reach={"high": 1, "low": 1, "close": _WINDOW - 1, "volume": _WINDOW - 1},
    smoothings=len(_OF_CANDLES) + len(_OF_THOSE),
    smoothed=_smoothed,
    windowed=_windowed,
)
"""The values of STORED."""
