"""Exponential smoothing of many series side by side, resumable to the bit.

Every recursive indicator here (EMA, and Wilder's means in RSI, ATR and ADX) is one rule with three numbers:

    value = mean of inputs[start : start + length]      at the candle where that seed is complete
    value = value + (input − value) · weight            at each later candle

with weight 2 / (length + 1) for an EMA and 1 / length for Wilder. TA-Lib writes Wilder's step as
(value · (length − 1) + input) / length, and sums of directional movement as value − value / length + input;
those are the same values up to rounding (below 1e-12 over 60,000 real candles).

The loop runs over time and NumPy over the series, so 500 markets cost little more than one, and since each
series sees the same IEEE operations in the same order however its candles are split, continuing from a stored
value gives the same bits as one pass over everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from missiondesk.market.candles import FloatArray


@dataclass(frozen=True)
class Smoothing:
    """start: candles (of all ever seen) before the first input that counts; length: inputs in the seed."""

    start: int
    length: int
    weight: float

    @property
    def seeded(self) -> int:
        """Candles seen when the seed is complete and the first value stands."""
        return self.start + self.length


def exponential(length: int, start: int = 0) -> Smoothing:
    """An EMA over `length` candles."""
    return Smoothing(start, length, 2 / (length + 1))


def wilder(length: int, start: int = 0) -> Smoothing:
    """Wilder's mean over `length` candles."""
    return Smoothing(start, length, 1 / length)


def smooth(
    smoothings: Sequence[Smoothing], previous: FloatArray, seen: NDArray[np.int64], inputs: FloatArray
) -> None:
    """Turn `inputs`, shape (candles, smoothings, markets), into the values after each new candle, in place.

    previous: values after the candle before, shape (smoothings, markets); while a seed is incomplete, its sum
    so far (0 at the beginning). seen: candles each market had before these, shape (markets,).
    A NaN input is no input: it adds nothing to a seed and leaves a value as it is.
    """
    seeds, seeding = _seeds(smoothings, previous, seen, inputs)
    seeded = len(seeds)
    # Without a broadcast, each step is three calls over one piece of memory.
    weights = np.repeat([[smoothing.weight] for smoothing in smoothings], len(seen), axis=1)
    complete = not np.isnan(inputs[seeded:].sum())
    value = previous
    for place, row in enumerate(inputs):
        if place < seeded or not complete:
            np.copyto(row, value, where=np.isnan(row))
        row -= value
        row *= weights
        row += value
        if place < seeded:
            np.copyto(row, seeds[place], where=seeding[place])
        value = row


def _seeds(
    smoothings: Sequence[Smoothing], previous: FloatArray, seen: NDArray[np.int64], inputs: FloatArray
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Sums so far and, at last, their means, for as many candles as seeds may take; and where these stand."""
    fewest = int(seen.min()) if len(seen) else 0
    longest = max(max(smoothing.seeded for smoothing in smoothings) - fewest, 0)
    seeds = np.empty_like(inputs[:longest])
    seeding = np.zeros(seeds.shape, dtype=bool)
    counts = seen + np.arange(1, len(seeds) + 1)[:, np.newaxis]
    for place, smoothing in enumerate(smoothings if longest else ()):
        given = inputs[:longest, place]
        added = np.where((counts > smoothing.start) & ~np.isnan(given), given, 0.0)
        added[:1] += previous[place]
        sums = np.cumsum(added, axis=0, out=seeds[:, place])
        np.divide(sums, smoothing.length, out=sums, where=counts == smoothing.seeded)
        np.less_equal(counts, smoothing.seeded, out=seeding[:, place])
    return seeds, seeding
