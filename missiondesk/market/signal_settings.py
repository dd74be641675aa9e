"""The scoring lists behind trading signals. All of it can be set; the defaults are the rules' own numbers.

A list is read from its top and its first matching line counts. Comparisons are strict: a value on a limit
does not match that line and is handed to the next one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, assert_never


@dataclass(frozen=True)
class Line:
    """Points for a value above the limit, below it, or always."""

    when: Literal["above", "below", "always"]
    limit: float
    points: int

    def matches(self, value: float) -> bool:
        match self.when:
            case "above":
                return value > self.limit
            case "below":
                return value < self.limit
            case "always":
                return True
            case never:
                assert_never(never)

    def __str__(self) -> str:
        return "beyond" if self.when == "always" else f"{self.when} {self.limit:g}"


Lines = tuple[Line, ...]


def first_match(lines: Iterable[Line], value: float) -> Line | None:
    """The line that counts, None when no line matches."""
    return next((line for line in lines if line.matches(value)), None)


def above(limit: float, points: int) -> Line:
    return Line("above", limit, points)


def below(limit: float, points: int) -> Line:
    return Line("below", limit, points)


def otherwise(points: int) -> Line:
    return Line("always", 0, points)


@dataclass(frozen=True)
class SignalSettings:
    """Thresholds of signals. Shares, gains and distances are in %, confidence and points in 0–100.

    trend_*: both sides of trend following; buy_*, sell_*: one side of it; reversion_*: mean reversion, whose
    near_percent is the distance from an edge, in % of the channel's width, and whose stops are factors of it.
    """

    candles_needed: int = 30

    trend_base: int = 50
    trend_volume_ratio: Lines = (above(1.2, +10),)
    trend_macd_points: int = +10
    trend_divergence_points: int = -15
    hold_below: int = 30
    small_below: int = 50

    buy_position: Lines = (above(200, -40), above(150, -30), above(100, -20))
    buy_deviation: Lines = (below(3, -5), below(5, -15), below(10, -25), otherwise(-40))
    buy_rsi: Lines = (above(80, -25), above(70, -15), below(60, +10))
    buy_short_gain: Lines = (above(20, -20), above(10, -10), above(7, -5))
    buy_long_gain: Lines = (above(40, -15), above(20, -5))
    buy_from_high: Lines = (above(-5, -20), above(-15, -10), below(-50, +15))
    buy_trending_points: int = +15

    sell_position: Lines = (below(0, -20),)
    sell_rsi: Lines = (below(30, -15), below(40, -10))
    sell_trending_down_points: int = +15

    reversion_base: int = 45
    reversion_near_percent: float = 10
    reversion_buy_position: Lines = (below(30, +15),)
    reversion_buy_rsi: Lines = (below(35, +20), below(45, +10))
    reversion_buy_stop: float = 0.98
    reversion_sell_position: Lines = (above(70, +15),)
    reversion_sell_rsi: Lines = (above(65, +20), above(55, +10))
    reversion_sell_stop: float = 1.02

    short_gain_bars: int = 10
    long_gain_bars: int = 20
    high_bars: int = 365
    divergence_bars: int = 5
    divergence_price_percent: float = 5
    divergence_volume_percent: float = 20
