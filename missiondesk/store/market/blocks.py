"""Stored columns of many series at once, as arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from missiondesk.market.candles import Candles, FloatArray, TimeArray, to_datetime
from missiondesk.store.market.binary_copy import ReadKind
from missiondesk.store.market.series import NEVER, Series
from missiondesk.store.market.staging import copy_out

CANDLE_COLUMNS = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True, eq=False)
class Block:
    """Rows of several series, one after the other, by series and time; columns by name, NaN for null."""

    series_ids: NDArray[np.int32]
    open_time: TimeArray
    columns: Mapping[str, FloatArray]

    def __len__(self) -> int:
        return len(self.open_time)

    def parts(self) -> Iterator[tuple[int, slice]]:
        """Each series' id and where its rows are."""
        starts = np.flatnonzero(np.diff(self.series_ids, prepend=-1))
        stops = np.append(starts[1:], len(self))[: len(starts)]
        for start, stop in zip(starts, stops, strict=True):
            yield int(self.series_ids[start]), slice(int(start), int(stop))

    def only(self, kept: NDArray[np.bool_]) -> Block:
        """The rows of this mask."""
        columns = {name: values[kept] for name, values in self.columns.items()}
        return Block(self.series_ids[kept], self.open_time[kept], columns)

    def candles(self, of: Sequence[Series]) -> list[Candles]:
        """The candles of each of these series, in their order; empty where there are none."""
        places = dict(self.parts())
        return [self._candles(each, places.get(each.id, slice(0, 0))) for each in of]

    def _candles(self, of: Series, part: slice) -> Candles:
        opens, highs, lows, closes, volumes = (self.columns[name][part] for name in CANDLE_COLUMNS)
        return Candles(self.open_time[part], opens, highs, lows, closes, volumes, of.interval, of.symbol)


def read_block(
    connection: Connection,
    source: str,
    columns: Mapping[str, str] | Sequence[str],
    after: Mapping[int, int],
    until: Mapping[int, int] | None = None,
    *,
    where: str = "true",
    before_too: int = 0,
) -> Block:
    """Rows of `source` (a table, or a join of several, with series_id and open_time) later than `after`.

    after, until: series id → open time (ms), exclusive and inclusive. columns: name → SQL expression.
    where: which of them, as SQL.
    before_too: how many rows that are not later than `after` are read as well, the newest ones.
    """
    expressions = columns if isinstance(columns, Mapping) else {name: name for name in columns}
    values = ", ".join(
        f"coalesce(({expression})::float8, 'NaN') AS {name}" for name, expression in expressions.items()
    )
    names = "".join(f", found.{name}" for name in expressions)
    rows = f"SELECT open_time, {values} FROM {source} WHERE series_id = wanted.id AND {where}"  # noqa: S608
    later = f"({rows} AND open_time > wanted.after AND open_time <= wanted.until OFFSET 0)"
    if before_too:
        earlier = f"({rows} AND open_time <= wanted.after ORDER BY open_time DESC LIMIT {before_too:d})"
        later = f"({earlier} UNION ALL {later})"
    # A row per series drives the index; "found" is fenced, so that no plan reads whole tables for a few rows.
    query = (
        f"SELECT wanted.id, found.open_time{names}"  # noqa: S608 — only names from this package
        " FROM unnest(%(ids)s::int[], %(after)s::timestamptz[], %(until)s::timestamptz[])"
        f" AS wanted (id, after, until) CROSS JOIN LATERAL {later} AS found"
    )
    ids = list(after)
    parameters = {
        "ids": ids,
        "after": [_moment(after[id]) for id in ids],
        "until": [_moment(until[id]) if until is not None else "infinity" for id in ids],
    }
    kinds: list[ReadKind] = ["integer", "time"]
    kinds += ["float"] * len(expressions)
    series_ids, times, *found = copy_out(connection, query, kinds, parameters)
    block = Block(
        cast(NDArray[np.int32], series_ids),
        cast(TimeArray, times),
        {name: cast(FloatArray, values) for name, values in zip(expressions, found, strict=True)},
    )
    return _sorted(block)


def _moment(time: int) -> str:
    return "-infinity" if time <= NEVER else to_datetime(time).isoformat()


def _sorted(block: Block) -> Block:
    same = np.diff(block.series_ids) == 0
    if (np.diff(block.series_ids) >= 0).all() and (np.diff(block.open_time)[same] > 0).all():
        return block
    order = np.lexsort((block.open_time, block.series_ids))
    columns = {name: values[order] for name, values in block.columns.items()}
    return Block(block.series_ids[order], block.open_time[order], columns)
