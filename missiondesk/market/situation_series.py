"""What `situation` says of one candle, for many candles of several series at once, with the same numbers.

Candles stand one after the other, series after series; `firsts` holds, for each, where its series begins.
Values are NaN where there are too few candles before, and where `situation` has none.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from missiondesk.market.candles import FloatArray
from missiondesk.market.ratios import ratios

Places = NDArray[np.int64]
Mask = NDArray[np.bool_]


def percents(parts: FloatArray, wholes: FloatArray) -> FloatArray:
    """`situation.percent` of each."""
    rounded: FloatArray = np.round(ratios(parts * 100, wholes), 9)
    return rounded


def gains(closes: FloatArray, firsts: Places, rows: Places, bars: int) -> FloatArray:
    """`situation.gain` at each of `rows`."""
    before = rows - bars
    there = before >= firsts[rows]
    earlier = np.where(there, closes[np.where(there, before, rows)], np.nan)
    return percents(closes[rows] - earlier, earlier)


def highest(closes: FloatArray, firsts: Places, rows: Places, bars: int) -> FloatArray:
    """The highest of the last `bars` closes (fewer where there are fewer) at each of `rows`.

    Maxima over 2, 4, 8, … closes are made until two of them, overlapping, cover the window.
    """
    places = np.arange(len(closes))
    doubled, width = closes, 1
    while width * 2 <= bars:
        earlier = places - width
        doubled = np.maximum(doubled, doubled[np.where(earlier >= firsts, earlier, places)])
        width *= 2
    earliest = np.maximum(rows - bars + width, np.minimum(firsts[rows] + width - 1, rows))
    found: FloatArray = np.maximum(doubled[rows], doubled[earliest])
    return found


def divergences(
    closes: FloatArray,
    volumes: FloatArray,
    firsts: Places,
    rows: Places,
    bars: int,
    price_percent: float,
    volume_percent: float,
) -> tuple[Mask, Mask]:
    """Whether `situation.divergence` is bearish, and whether it is bullish, at each of `rows`."""
    enough = rows - 2 * bars + 1 >= firsts[rows]
    prices, amounts = (_changes_of_means(values, rows, enough, bars) for values in (closes, volumes))
    unfollowed = amounts < -volume_percent
    return unfollowed & (prices > price_percent), unfollowed & (prices < -price_percent)


def _changes_of_means(values: FloatArray, rows: Places, enough: Mask, bars: int) -> FloatArray:
    def mean_until(ends: Places) -> FloatArray:
        total = np.zeros(len(ends))
        for back in range(bars - 1, -1, -1):
            total += values[ends - back]
        return total / bars

    found = np.full(len(rows), np.nan)
    ends = rows[enough]
    newer, older = mean_until(ends), mean_until(ends - bars)
    found[enough] = percents(newer - older, older)
    return found
