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
) -> FloatArray:
    """Values after each new candle, shape (candles, smoothings, markets), like `inputs`.

    previous: values after the candle before, shape (smoothings, markets); while a seed is incomplete, its sum
    so far (0 at the beginning). seen: candles each market had before these, shape (markets,).
    A NaN input is no input: it adds nothing to a seed and leaves a value as it is.
    """
    start, length, weight = (
        np.array([getattr(smoothing, name) for smoothing in smoothings])[:, np.newaxis]
        for name in ("start", "length", "weight")
    )
    seeded = start + length
    last_seed = int(seeded.max() - seen.min()) if len(seen) else 0
    undefined: NDArray[np.bool_] = np.asarray(np.isnan(inputs).any(axis=(1, 2)))
    values = np.empty_like(inputs)
    value = previous
    for place, row in enumerate(inputs):
        change = (row - value) * weight
        if undefined[place]:
            change[np.isnan(row)] = 0.0
        if place < last_seed:
            count = seen + place + 1
            total = value + np.where((count > start) & ~np.isnan(row), row, 0.0)
            mean = np.where(count == seeded, total / length, total)
            value = np.where(count > seeded, value + change, mean)
        else:
            value = value + change
        values[place] = value
    return values
