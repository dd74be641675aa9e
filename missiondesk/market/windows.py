"""Sums, means and deviations over sliding windows, along the last axis.

Every result depends on the values of its own window alone, added in one fixed order, so a window computed
in a chunk of one candle equals bit for bit the same window computed inside a long series. (A running sum
that adds the newest and subtracts the oldest value drifts, and depends on where it began.)

Windows are put together from blocks of 1, 2, 4, 8, … values, so the cost grows with log2(length).
"""

from __future__ import annotations

import numpy as np

from missiondesk.market.candles import FloatArray


def window_sums(values: FloatArray, length: int) -> FloatArray:
    """Sum of each `length` consecutive values: shape (…, n) → (…, n − length + 1), none when n < length."""
    count = max(values.shape[-1] - length + 1, 0)
    total = np.empty((*values.shape[:-1], count))
    block, width, covered = values, 1, 0
    while count and covered < length:
        if length & width:
            here = block[..., covered : covered + count]
            if covered:
                total += here
            else:
                total[:] = here
            covered += width
        if covered < length:
            block = block[..., :-width] + block[..., width:]
            width *= 2
    return total


def window_means(values: FloatArray, length: int) -> FloatArray:
    """Arithmetic mean of each window; shapes as in `window_sums`."""
    return window_sums(values, length) / length


def window_deviations(values: FloatArray, length: int) -> tuple[FloatArray, FloatArray]:
    """Mean of each window, and the population standard deviation around it; shapes as in `window_sums`.

    Two blocks side by side, of n and m values, have the squared distances from their common mean that each
    has from its own, and (difference of the means)² · n · m / (n + m) (Chan, Golub and LeVeque 1979). One
    pass over squares would lose the digits that matter at high prices.
    """
    count = max(values.shape[-1] - length + 1, 0)
    total, squares = np.empty((2, *values.shape[:-1], count))
    block, width, covered = values, 1, 0
    apart: FloatArray | None = None
    while count and covered < length:
        if length & width:
            here = slice(covered, covered + count)
            if covered:
                squares += _between(total, covered, block[..., here], width)
                total += block[..., here]
            else:
                squares[:] = 0
                total[:] = block[..., here]
            if apart is not None:
                squares += apart[..., here]
            covered += width
        if covered < length:
            between = _between(block[..., :-width], width, block[..., width:], width)
            if apart is not None:
                between += apart[..., :-width]
                between += apart[..., width:]
            block, apart = block[..., :-width] + block[..., width:], between
            width *= 2
    total /= length
    squares /= length
    return total, np.sqrt(squares, out=squares)


def _between(one: FloatArray, n: int, other: FloatArray, m: int) -> FloatArray:
    """What two blocks with these sums, of n and m values, have in squares beyond their own."""
    difference = other - one if n == m else other * (n / m) - one
    difference *= difference
    difference *= m / (n * (n + m))
    return difference
