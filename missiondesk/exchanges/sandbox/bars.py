"""Candles as columns: the one shape in which market sources, the market and the wire hand them on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

MINUTE = 60


@dataclass(frozen=True)
class Bars:
    """Candles, oldest first. `opened` is unix seconds, prices are quote per base, volume is in base."""

    opened: Integers
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    def __len__(self) -> int:
        return len(self.opened)

    @classmethod
    def of(cls, rows: Sequence[tuple[int, float, float, float, float, float]]) -> Bars:
        """From rows of (opened, open, high, low, close, volume)."""
        columns = list(zip(*rows, strict=True)) or [()] * 6
        prices = [np.array(column, dtype=np.float64) for column in columns[1:]]
        return cls(np.array(columns[0], dtype=np.int64), *prices)

    @classmethod
    def join(cls, parts: Sequence[Bars]) -> Bars:
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return cls.of(())
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))

    def select(self, chosen: slice | Flags) -> Bars:
        return Bars(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def between(self, first: int, last: int) -> Bars:
        """Those with first <= opened < last."""
        begin, end = np.searchsorted(self.opened, (first, last))
        return self.select(slice(int(begin), int(end)))

    def moved(self, seconds: int) -> Bars:
        """The same candles at another time."""
        return Bars(self.opened + seconds, self.open, self.high, self.low, self.close, self.volume)

    def aggregate(self, minutes: int) -> Bars:
        """Larger candles, aligned to the unix epoch (as Kraken's are: its weeks open on Thursday)."""
        if not len(self):
            return self
        windows = self.opened // (minutes * MINUTE)
        starts = np.flatnonzero(np.concatenate(([True], windows[1:] != windows[:-1])))
        ends = np.append(starts[1:], len(self)) - 1
        return Bars(
            windows[starts] * (minutes * MINUTE),
            self.open[starts],
            np.maximum.reduceat(self.high, starts),
            np.minimum.reduceat(self.low, starts),
            self.close[ends],
            np.add.reduceat(self.volume, starts),
        )
