"""Candles of a higher timeframe from those of a lower one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from missiondesk.market.candles import Candles, FloatArray, default_anchor, timeframe_milliseconds
from models.errors import InputRefused

_MOST_DECIMALS: Final = 12
_EXACT: Final = 2.0**53


@dataclass(frozen=True, eq=False)
class Aggregate:
    """Candles of the higher timeframe; `missing` says how many lower bars each of them lacks, shape (n,).

    A bar lacks some because it is not over yet, because the lower candles begin inside of it, or because the
    venue has no bar where nothing traded. Only the caller can know which, so none is left out here.
    """

    candles: Candles
    missing: NDArray[np.int64]

    def complete(self) -> Candles:
        """Only the candles that lack nothing."""
        return self.candles[self.missing == 0]


def fits(opened: int, lower: str, higher: str, anchor: int | None = None) -> bool:
    """Whether bars of the lower timeframe, of which one opens then (ms), fill those of the higher one.

    anchor: as for `aggregate`.
    """
    start, length = default_anchor(higher) if anchor is None else anchor, timeframe_milliseconds(lower)
    return timeframe_milliseconds(higher) % length == 0 and (opened - start) % length == 0


def aggregate(candles: Candles, timeframe: str, anchor: int | None = None) -> Aggregate:
    """Open of the first, highest high, lowest low, close of the last, sum of the volumes.

    anchor: an opening time (ms) on the higher grid, None for `default_anchor`. Volumes are added as the
    decimals they are written in, so the sums equal those of a venue that counts in decimals. Raises
    InputRefused when the higher timeframe is not a multiple of the lower one on the same grid.
    """
    length = timeframe_milliseconds(timeframe)
    start = default_anchor(timeframe) if anchor is None else anchor
    opened = int(candles.open_time[0]) if len(candles) else start
    if not fits(opened, candles.timeframe, timeframe, start):
        raise InputRefused(f"{candles.described} cannot be put together to {timeframe}: the grids do not fit")
    bars = (candles.open_time - start) // length * length + start
    firsts = np.flatnonzero(np.diff(bars, prepend=bars[:1] - 1))
    counts = np.diff(firsts, append=len(candles))
    higher = Candles(
        bars[firsts],
        candles.open[firsts],
        np.maximum.reduceat(candles.high, firsts),
        np.minimum.reduceat(candles.low, firsts),
        candles.close[firsts + counts - 1],
        _decimal_sums(candles.volume, firsts),
        timeframe,
        candles.symbol,
    )
    return Aggregate(higher, length // candles.milliseconds - counts)


def _decimal_sums(values: FloatArray, firsts: NDArray[np.int64]) -> FloatArray:
    """Sums from each of `firsts` to the next, added as whole units of the smallest decimal place in use."""
    if len(values) == 0:
        return values
    plain: FloatArray = np.add.reduceat(values, firsts)
    for decimals in range(_MOST_DECIMALS + 1):
        scale = 10.0**decimals
        units = np.rint(values * scale)
        if np.abs(plain).max() * scale >= _EXACT:
            break
        if (units / scale == values).all():
            return np.add.reduceat(units, firsts) / scale
    return plain
