"""Whether a market is trending or ranging, from its ADX(14) and its EMA channel.

The first matching line counts; comparisons are strict, so a value on a threshold goes on to the next line.

| line | condition | regime |
|---|---|---|
| 1 | ADX > 25 and in-channel % < 55 | trending |
| 2 | ADX < 20 and in-channel % > 70 | ranging |
| 3 | ADX > 22 | trending |
| 4 | otherwise | ranging |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from missiondesk.market.candles import Candles, FloatArray
from missiondesk.market.ema_channel import EmaChannel, channel_at
from missiondesk.market.indicators import indicator, value_at

ADX: Final = indicator("adx", {"length": 14})

HIGHER_TIMEFRAME: Final[Mapping[str, str]] = {"1h": "4h", "4h": "1d", "1d": "1w"}
"""Timeframe → the one whose trend is shown beside it, and therefore calculated first; 1w has none."""


class Regime(StrEnum):
    TRENDING = "trending"
    RANGING = "ranging"


REGIMES: Final = tuple(Regime)


@dataclass(frozen=True)
class RegimeSettings:
    """The thresholds of the table, ADX in 0–100 and in-channel shares in %."""

    trending_above_adx: float = 25
    trending_below_percent: float = 55
    ranging_below_adx: float = 20
    ranging_above_percent: float = 70
    otherwise_trending_above_adx: float = 22


def regime(adx: float, in_channel_percent: float, settings: RegimeSettings | None = None) -> Regime:
    """The regime by the table above."""
    limits = settings or RegimeSettings()
    if adx > limits.trending_above_adx and in_channel_percent < limits.trending_below_percent:
        return Regime.TRENDING
    if adx < limits.ranging_below_adx and in_channel_percent > limits.ranging_above_percent:
        return Regime.RANGING
    return Regime.TRENDING if adx > limits.otherwise_trending_above_adx else Regime.RANGING


def regimes(
    adx: FloatArray, in_channel_percent: FloatArray, settings: RegimeSettings | None = None
) -> NDArray[np.int64]:
    """The regime of each, as its place in REGIMES."""
    limits = settings or RegimeSettings()
    first = (adx > limits.trending_above_adx) & (in_channel_percent < limits.trending_below_percent)
    second = (adx < limits.ranging_below_adx) & (in_channel_percent > limits.ranging_above_percent)
    trending = first | (~second & (adx > limits.otherwise_trending_above_adx))
    return np.where(trending, REGIMES.index(Regime.TRENDING), REGIMES.index(Regime.RANGING))


def regime_at(candles: Candles, settings: RegimeSettings | None = None) -> tuple[Regime, EmaChannel, float]:
    """Regime, channel and ADX at the newest of these closed candles. Raises TooFewCandles."""
    channel, adx = channel_at(candles), value_at(candles, ADX)
    return regime(adx, channel.in_channel_percent, settings), channel, adx
