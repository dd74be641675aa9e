"""Many markets side by side, and what each of them has to remember between two runs.

A calculation takes the states of its markets and their new candles, and gives the values of all these candles
and the next states. Its cost grows with the new candles, not with the history: a state holds the smoothed
values and the few newest candles that windows still reach back to. Markets may bring any number of candles
each, none included.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from missiondesk.market.candles import Candles, FloatArray

IN_CACHE: Final = 32_768
"""Values per array (256 KiB) that are worked on at a time: a few such arrays fit into a processor's cache."""

Counts = NDArray[np.int64]
Number = TypeVar("Number", bound=np.generic)


@dataclass(frozen=True, eq=False)
class NewCandles:
    """Columns of the new candles of several markets: market after market, oldest first.

    lengths: how many candles each market has, shape (markets,).
    """

    columns: Mapping[str, FloatArray]
    lengths: Counts

    @classmethod
    def of(cls, candles: Sequence[Candles]) -> NewCandles:
        """From candles of one market each."""
        columns = {
            name: np.concatenate([np.empty(0), *(getattr(each, name) for each in candles)])
            for name in ("open", "high", "low", "close", "volume")
        }
        return cls(columns, np.array([len(each) for each in candles], dtype=np.int64))

    @property
    def most(self) -> int:
        """New candles of the market that has most of them."""
        return int(self.lengths.max(initial=0))

    def behind(self, recent: Mapping[str, FloatArray], absent: float = np.nan) -> dict[str, FloatArray]:
        """Columns with a row per market, each behind its `recent` values, shape (markets, before).

        Shape (markets, before + most new candles); `absent` where a market has fewer.
        """
        widths = [values.shape[1] + self.most for values in recent.values()]
        # One large piece of memory comes in large pages: cheaper than a piece for each.
        memory = np.empty(sum(widths) * len(self.lengths))
        laid_out, start = {}, 0
        for (column, values), width in zip(recent.items(), widths, strict=True):
            across = memory[start : start + width * len(values)].reshape(len(values), width)
            start += across.size
            across[:, : values.shape[1]] = values
            new = across[:, values.shape[1] :]
            if (self.lengths == self.most).all():
                new[:] = self.columns[column].reshape(new.shape)
            else:
                new[:] = absent
                new[self._present] = self.columns[column]
            laid_out[column] = across
        return laid_out

    def flat(self, values: NDArray[Number]) -> NDArray[Number]:
        """Market after market again, from shape (…, markets, most new candles): shape (…, candles)."""
        if (self.lengths == self.most).all():
            return values.reshape(*values.shape[:-2], int(self.lengths.sum()))
        return values[..., self._present]

    def newest(self, across: FloatArray, count: int) -> FloatArray:
        """The last `count` values of each market, of what `behind` gave."""
        first = across.shape[1] - self.most - count
        places = (first + self.lengths)[:, np.newaxis] + np.arange(count)
        return np.take_along_axis(across, places, axis=1)

    @property
    def _present(self) -> NDArray[np.bool_]:
        return np.asarray(np.arange(self.most) < self.lengths[:, np.newaxis])


@dataclass(frozen=True, eq=False)
class Panel:
    """Some new candles of all markets. seen: candles each market had before these, shape (markets,).

    columns: shape (markets, reach + rows), by a column's reach; start, stop: which of the rows these are.
    """

    columns: Mapping[str, FloatArray]
    reach: Mapping[str, int]
    seen: Counts
    start: int
    stop: int

    def down(self, column: str) -> FloatArray:
        """The candle before these and then these, time down: shape (1 + candles, markets)."""
        reach = self.reach[column]
        return np.ascontiguousarray(self.columns[column][:, reach - 1 + self.start : reach + self.stop].T)


@dataclass(frozen=True)
class Calculation:
    """What is calculated for every candle, in two parts.

    needed: name of each value → candles a market must have had for it to be reliable.
    same: name of a value → the one in `needed` that it always equals.
    reach: column → candles before the newest one that are needed of it, at least one.
    smoothings: how many smoothed values a state holds.
    smoothed: (panel, smoothed values before it, shape (smoothings, markets), where to put those after every
    candle, shape (candles, smoothings, markets)) → values by name, each of shape (candles, markets).
    windowed: what follows from those values and from windows of the columns, time across: it is given columns
    of shape (markets, reach + rows), and values of shape (markets, rows) into which it puts the rest.

    A state is a row of numbers: candles seen, the newest values of each column in `reach`, oldest first and
    NaN where there were fewer, and the smoothed values (or incomplete seeds).
    """

    needed: Mapping[str, int]
    reach: Mapping[str, int]
    smoothings: int
    smoothed: Callable[[Panel, FloatArray, FloatArray], Mapping[str, FloatArray]]
    windowed: Callable[[Mapping[str, FloatArray], Mapping[str, FloatArray]], None]
    same: Mapping[str, str] = field(default_factory=dict)

    @property
    def layout(self) -> str:
        """What a state holds, in words: a state of another layout is of no use."""
        reach = ", ".join(f"{column} {reach}" for column, reach in self.reach.items())
        return f"seen, {reach}, smoothed {self.smoothings}"

    @property
    def beginning(self) -> FloatArray:
        """The state of a market before its first candle."""
        recent = np.full(sum(self.reach.values()), np.nan)
        return np.concatenate([[0.0], recent, np.zeros(self.smoothings)])

    def continued(self, states: FloatArray, new: NewCandles) -> tuple[dict[str, FloatArray], FloatArray]:
        """Values of the new candles, NaN where they are not reliable, and the states after them.

        states: shape (markets, numbers). The values are flat like `new`.
        """
        edges = np.cumsum([1, *self.reach.values()]).tolist()
        columns = new.behind(
            {
                column: states[:, start : start + reach]
                for start, (column, reach) in zip(edges, self.reach.items(), strict=False)
            }
        )
        seen = states[:, 0].astype(np.int64)
        table = np.empty((len(self.needed), len(states), new.most))
        values = dict(zip(self.needed, table, strict=True))
        last = self._smooth(columns, states[:, edges[-1] :].T, seen, new.lengths, values)
        step = max(IN_CACHE // max(new.most, 1), 1)
        for start in range(0, len(states), step):
            some = slice(start, start + step)
            self.windowed(_of_markets(columns, some), _of_markets(values, some))
        for name, needed in self.needed.items():
            early = seen[:, np.newaxis] + np.arange(1, 1 + min(new.most, needed)) < needed
            values[name][:, : early.shape[1]][early] = np.nan
        recent = [new.newest(columns[column], reach) for column, reach in self.reach.items()]
        after = np.concatenate([(seen + new.lengths)[:, np.newaxis], *recent, last.T], axis=1)
        found = dict(zip(self.needed, new.flat(table), strict=True))
        return found | {name: found[other] for name, other in self.same.items()}, after

    def _smooth(
        self,
        columns: Mapping[str, FloatArray],
        before: FloatArray,
        seen: Counts,
        lengths: Counts,
        values: Mapping[str, FloatArray],
    ) -> FloatArray:
        """Put the smoothed values where they belong; those after each market's last candle are returned."""
        rows = int(lengths.max(initial=0))
        last, smoothed = before.copy(), before
        step = max(IN_CACHE // max(len(seen), 1), 1)
        work = np.empty((min(step, rows), *before.shape))
        for start in range(0, rows, step):
            stop = min(start + step, rows)
            after = work[: stop - start]
            panel = Panel(columns, self.reach, seen + start, start, stop)
            for name, down in self.smoothed(panel, smoothed, after).items():
                values[name][:, start:stop] = down.T
            ending = np.flatnonzero((lengths > start) & (lengths <= stop))
            last[:, ending] = after[lengths[ending] - 1 - start, :, ending].T
            smoothed = after[-1].copy()
        return last


def _of_markets(of: Mapping[str, FloatArray], some: slice) -> dict[str, FloatArray]:
    return {name: values[some] for name, values in of.items()}
