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
    before = np.arange(len(closes)) - firsts
    doubled, width = closes, 1
    while width * 2 <= bars:
        wider = doubled.copy()
        np.maximum(doubled[width:], doubled[:-width], out=wider[width:], where=before[width:] >= width)
        doubled = wider
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
    """The mean of the last `bars` values against that of those before, in %; NaN where not `enough`."""
    ends = len(values) - bars + 1
    total = np.zeros(max(ends, 0))
    for start in range(bars if ends > 0 else 0):
        total += values[start : start + ends]
    means = total / bars
    found = np.full(len(rows), np.nan)
    newest = rows[enough] - bars + 1
    newer, older = means[newest], means[newest - bars]
    found[enough] = percents(newer - older, older)
    return found
