"""Many markets side by side, and what each of them has to remember between two runs.

A calculation takes the states of its markets and their new candles, lays both out with time down and markets
across, and gives each market its values and its next state. Its cost grows with the new candles, not with the
history: a state holds the smoothed values and the few newest candles that windows still reach back to.
Markets may bring any number of candles each, none included.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from missiondesk.market.candles import Candles, FloatArray, to_datetime

_IN_CACHE: Final = 16_384
"""Values per array (128 KiB) that are worked on at a time: a few such arrays fit into a processor's cache."""


@dataclass(frozen=True)
class SeriesState:
    """What a calculation remembers of one market in one timeframe after its newest candle.

    seen: candles so far, counted from the first stored one. last_open_time: of the newest, in ms.
    recent: column → its newest values, oldest first. smoothed: the values (or incomplete seeds) of the
    calculation's smoothings, in their order. `SeriesState()` is the state before the first candle.
    """

    seen: int = 0
    last_open_time: int | None = None
    recent: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    smoothed: tuple[float, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A JSON-able object; floats survive JSON bit for bit."""
        return {
            "seen": self.seen,
            "last_open_time": self.last_open_time,
            "recent": {column: list(values) for column, values in self.recent.items()},
            "smoothed": list(self.smoothed),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> SeriesState:
        recent = {column: tuple(values) for column, values in stored["recent"].items()}
        return cls(stored["seen"], stored["last_open_time"], recent, tuple(stored["smoothed"]))


@dataclass(frozen=True, eq=False)
class Continuation:
    """What one market's new candles gave: values, name → shape (candles,), NaN where not reliable."""

    values: Mapping[str, FloatArray]
    state: SeriesState


@dataclass(frozen=True, eq=False)
class Panel:
    """Columns of new candles, shape (rows, markets), behind the `reach` candles before them.

    seen: candles each market had before these, shape (markets,). Where a market has no candle there is NaN.
    """

    columns: Mapping[str, FloatArray]
    reach: int
    seen: NDArray[np.int64]

    def reaching_back(self, column: str) -> FloatArray:
        """Values of the candles before, then of the new ones, shape (reach + rows, markets)."""
        return self.columns[column]

    def new(self, column: str) -> FloatArray:
        """Values of the new candles."""
        return self.columns[column][self.reach :]

    def before(self, column: str) -> FloatArray:
        """Values one candle before each new one."""
        return self.columns[column][self.reach - 1 : -1]

    def part(self, start: int, stop: int) -> Panel:
        """The new candles from `start` to `stop`, as views."""
        columns = {name: values[start : stop + self.reach] for name, values in self.columns.items()}
        return Panel(columns, self.reach, self.seen + start)


@dataclass(frozen=True)
class Calculation:
    """What is calculated for every candle.

    needed: name of each value → candles a market must have had for it to be reliable.
    reach: column → candles before the newest one that are needed of it.
    smoothings: how many smoothed values a state holds.
    compute: (panel, smoothed values before it, shape (smoothings, markets)) → values by name, each of shape
    (rows, markets), and the smoothed values after every row, shape (rows, smoothings, markets).
    """

    needed: Mapping[str, int]
    reach: Mapping[str, int]
    smoothings: int
    compute: Callable[[Panel, FloatArray], tuple[Mapping[str, FloatArray], FloatArray]]

    def continued(self, states: Sequence[SeriesState], candles: Sequence[Candles]) -> list[Continuation]:
        """The values of each market's new candles, which follow those that its state has seen.

        Raises ValueError when they do not follow.
        """
        for state, new in zip(states, candles, strict=True):
            _expect_later(state, new)
        panel = _laid_out(states, candles, self.reach)
        ends = np.array([len(new) for new in candles], dtype=np.int64)
        rows = int(ends.max(initial=0))
        before = [state.smoothed or (0.0,) * self.smoothings for state in states]
        smoothed = np.array(before, dtype=np.float64).reshape(len(states), self.smoothings).T
        last = smoothed.copy()
        values = {name: np.empty((len(states), rows)) for name in self.needed}
        step = max(_IN_CACHE // max(len(states), 1), 1)
        for start in range(0, rows, step):
            part = panel.part(start, min(start + step, rows))
            computed, after = self.compute(part, smoothed)
            counts = part.seen + np.arange(1, len(after) + 1)[:, np.newaxis]
            fewest = int(counts.min())
            for name, needed in self.needed.items():
                found = computed[name]
                reliable = found if fewest >= needed else np.where(counts >= needed, found, np.nan)
                values[name][:, start : start + len(after)] = reliable.T
            ending = np.flatnonzero((ends > start) & (ends <= start + len(after)))
            last[:, ending] = after[ends[ending] - 1 - start, :, ending].T
            smoothed = after[-1]
        return [
            Continuation(
                {name: of_all[place, : ends[place]] for name, of_all in values.items()},
                self._state_after(state, new, last[:, place]),
            )
            for place, (state, new) in enumerate(zip(states, candles, strict=True))
        ]

    def _state_after(self, state: SeriesState, new: Candles, smoothed: FloatArray) -> SeriesState:
        if len(new) == 0:
            return state
        recent = {
            column: (state.recent.get(column, ()) + tuple(getattr(new, column)[-reach:].tolist()))[-reach:]
            for column, reach in self.reach.items()
        }
        return SeriesState(state.seen + len(new), int(new.open_time[-1]), recent, tuple(smoothed.tolist()))


def _expect_later(state: SeriesState, new: Candles) -> None:
    if state.last_open_time is not None and len(new) and new.open_time[0] <= state.last_open_time:
        seen, first = to_datetime(state.last_open_time), to_datetime(new.open_time[0])
        raise ValueError(f"{new.described}: expected candles after the one of {seen}, got one of {first}")


def _laid_out(states: Sequence[SeriesState], candles: Sequence[Candles], reach: Mapping[str, int]) -> Panel:
    longest = max(reach.values())
    rows = max((len(new) for new in candles), default=0)
    columns = {}
    alike = all(len(new) == rows for new in candles)
    for column in reach:
        # Markets down while each is filled in, time down from then on.
        across = np.full((len(candles), longest + rows), np.nan)
        if alike and candles:
            across[:, longest:] = np.stack([getattr(new, column) for new in candles])
        for place, (state, new) in enumerate(zip(states, candles, strict=True)):
            if recent := state.recent.get(column):
                across[place, longest - len(recent) : longest] = recent
            if not alike:
                across[place, longest : longest + len(new)] = getattr(new, column)
        columns[column] = np.ascontiguousarray(across.T)
    return Panel(columns, longest, np.array([state.seen for state in states], dtype=np.int64))
