"""Sums, means and deviations over sliding windows, along the first axis.

Every result depends on the values of its own window alone, added in one fixed order, so a window computed
in a chunk of one candle equals bit for bit the same window computed inside a long series. (A running sum
that adds the newest and subtracts the oldest value drifts, and depends on where it began.)
"""

from __future__ import annotations

import numpy as np

from missiondesk.market.candles import FloatArray


def window_sums(values: FloatArray, length: int) -> FloatArray:
    """Sum of each `length` consecutive values: shape (n, …) → (n − length + 1, …), none when n < length.

    Windows are put together from blocks of 1, 2, 4, 8, … values, so the cost grows with log2(length).
    """
    count = max(len(values) - length + 1, 0)
    total = np.zeros((count, *values.shape[1:]))
    if count == 0:
        return total
    block, width, covered = values, 1, 0
    while True:
        if length & width:
            total += block[covered : covered + count]
            covered += width
        if covered == length:
            return total
        block = block[:-width] + block[width:]
        width *= 2


def window_means(values: FloatArray, length: int) -> FloatArray:
    """Arithmetic mean of each window; shapes as in `window_sums`."""
    return window_sums(values, length) / length


def window_deviations(values: FloatArray, length: int) -> FloatArray:
    """Population standard deviation of each window around its own mean; shapes as in `window_sums`.

    Two passes per window: one pass over squares would lose the digits that matter at high prices.
    """
    means = window_means(values, length)
    squares = np.zeros_like(means)
    difference = np.empty_like(means)
    for place in range(length if len(means) else 0):
        np.subtract(values[place : place + len(means)], means, out=difference)
        np.multiply(difference, difference, out=difference)
        squares += difference
    return np.sqrt(squares / length)
