"""The EMA channel: EMA(33) of the highs above, EMA(33) of the lows below, and where prices stand to it.

A close on an edge of the channel is inside of it.

| value | formula | unit |
|---|---|---|
| upper, lower | EMA(33) of high, of low | price |
| in_channel_percent | share of the last 20 closes that are inside the latest channel | 0–100 |
| width_percent | (upper − lower) / lower · 100 | % of lower |
| volume_ratio | last volume / mean of the last 20, itself included; undefined if that is 0 | – |
| direction | up, down, neutral: the close is above, below, inside | – |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from missiondesk.market.candles import Candles, FloatArray
from missiondesk.market.indicators import indicator, value_at
from missiondesk.market.panel import Calculation, Panel
from missiondesk.market.ratios import ratios
from missiondesk.market.recursion import exponential, smooth
from missiondesk.market.windows import window_means

WINDOW: Final = 20
UPPER: Final = indicator("ema_channel_upper", {"length": 33})
LOWER: Final = indicator("ema_channel_lower", {"length": 33})


class Direction(StrEnum):
    UP = "up"
    DOWN = "down"
    NEUTRAL = "neutral"


@dataclass(frozen=True)
class EmaChannel:
    """The channel at one candle; volume_ratio is None where it is undefined."""

    close: float
    upper: float
    lower: float
    in_channel_percent: float
    volume_ratio: float | None

    @property
    def width_percent(self) -> float:
        return (self.upper - self.lower) * 100 / self.lower

    @property
    def direction(self) -> Direction:
        if self.close > self.upper:
            return Direction.UP
        if self.close < self.lower:
            return Direction.DOWN
        return Direction.NEUTRAL


def channel_at(candles: Candles) -> EmaChannel:
    """The channel at the newest of these closed candles. Raises TooFewCandles."""
    upper, lower = value_at(candles, UPPER), value_at(candles, LOWER)
    share = in_channel_percents(candles.close[-WINDOW:], np.array([upper]), np.array([lower]))
    ratio = volume_ratios(candles.volume[-WINDOW:])
    volume_ratio = None if np.isnan(ratio[0]) else float(ratio[0])
    return EmaChannel(float(candles.close[-1]), upper, lower, float(share[0]), volume_ratio)


def in_channel_percents(closes: FloatArray, upper: FloatArray, lower: FloatArray) -> FloatArray:
    """closes begin 19 candles before the first of upper and lower: shapes (…, n + 19), (…, n) → (…, n)."""
    count = upper.shape[-1]
    inside = np.zeros(upper.shape, dtype=np.int8)
    above, below = np.empty(upper.shape, dtype=bool), np.empty(upper.shape, dtype=bool)
    for back in range(WINDOW):
        close = closes[..., back : back + count]
        np.less_equal(lower, close, out=above)
        np.less_equal(close, upper, out=below)
        np.logical_and(above, below, out=above)
        inside += above.view(np.int8)
    return inside.astype(np.float64) * (100 / WINDOW)


def volume_ratios(volumes: FloatArray) -> FloatArray:
    """volumes begin 19 candles early: shape (…, n + 19) → (…, n); NaN where the mean is 0."""
    means = window_means(volumes, WINDOW)
    return ratios(volumes[..., WINDOW - 1 :], means)


def _smoothed(panel: Panel, before: FloatArray, after: FloatArray) -> dict[str, FloatArray]:
    upper, lower = after[:, 0], after[:, 1]
    upper[:], lower[:] = panel.down("high")[1:], panel.down("low")[1:]
    smooth(_SMOOTHINGS, before, panel.seen, after)
    return {"upper": upper, "lower": lower}


def _windowed(columns: Mapping[str, FloatArray], values: Mapping[str, FloatArray]) -> None:
    upper, lower = values["upper"], values["lower"]
    values["width_percent"][:] = ratios((upper - lower) * 100, lower)
    values["in_channel_percent"][:] = in_channel_percents(columns["close"], upper, lower)
    values["volume_ratio"][:] = volume_ratios(columns["volume"])


_SMOOTHINGS: Final = (exponential(33), exponential(33))

CHANNEL: Final = Calculation(
    needed={
        "upper": UPPER.needed,
        "lower": LOWER.needed,
        "width_percent": UPPER.needed,
        "in_channel_percent": UPPER.needed,
        "volume_ratio": WINDOW,
    },
    reach={"high": 1, "low": 1, "close": WINDOW - 1, "volume": WINDOW - 1},
    smoothings=len(_SMOOTHINGS),
    smoothed=_smoothed,
    windowed=_windowed,
)
"""upper, lower, width_percent, in_channel_percent and volume_ratio of every candle."""
