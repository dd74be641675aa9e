"""Stored columns of many series at once, as arrays."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from missiondesk.market.candles import Candles, FloatArray, TimeArray
from missiondesk.store.market.binary_copy import ReadKind
from missiondesk.store.market.series import Series
from missiondesk.store.market.staging import copy_out, listed

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

    def lengths(self, ids: NDArray[np.int32]) -> NDArray[np.int64]:
        """How many rows each of these series has; ids ascending."""
        edges = [np.searchsorted(self.series_ids, ids, side=side) for side in ("left", "right")]
        return edges[1] - edges[0]

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
    ids: Collection[int],
    after: Collection[int],
    until: Collection[int],
    *,
    where: str = "true",
    before_too: int = 0,
) -> Block:
    """Rows of `source` (a table, or a join of several, with series_id and open_time) later than `after`.

    after, until: of each of the series `ids`, opening times (ms), exclusive and inclusive. columns: name →
    SQL expression. where: which of them, as SQL.
    before_too: how many rows that are not later than `after` are read as well, the newest ones.
    """
    expressions = columns if isinstance(columns, Mapping) else {name: name for name in columns}
    values = "".join(
        f", coalesce(({expression})::float8, 'NaN') AS {name}" for name, expression in expressions.items()
    )
    names = "".join(f", found.{name}" for name in expressions)
    rows = f"SELECT open_time{values} FROM {source} WHERE series_id = wanted.id AND {where}"  # noqa: S608
    later = f"({rows} AND open_time > {_AFTER} AND open_time <= {_UNTIL} OFFSET 0)"
    if before_too:
        earlier = f"({rows} AND open_time <= {_AFTER} ORDER BY open_time DESC LIMIT {before_too:d})"
        later = f"({earlier} UNION ALL {later})"
    # A row per series drives the index; "found" is fenced, so that no plan reads whole tables for a few rows.
    query = (
        f"SELECT wanted.id, found.open_time{names}"  # noqa: S608 — only names from this package
        " FROM unnest(%(ids)s::int[], %(after)s::float8[], %(until)s::float8[])"
        f" AS wanted (id, after, until) CROSS JOIN LATERAL {later} AS found"
    )
    parameters = {"ids": listed(ids), "after": listed(after), "until": listed(until)}
    kinds: list[ReadKind] = ["integer", "time"]
    kinds += ["float"] * len(expressions)
    series_ids, times, *found = copy_out(connection, query, kinds, parameters)
    block = Block(
        cast(NDArray[np.int32], series_ids),
        cast(TimeArray, times),
        {name: cast(FloatArray, values) for name, values in zip(expressions, found, strict=True)},
    )
    return _sorted(block)


_AFTER: Final = "to_timestamp(wanted.after / 1000)"
_UNTIL: Final = "to_timestamp(wanted.until / 1000)"


def _sorted(block: Block) -> Block:
    same = np.diff(block.series_ids) == 0
    if (np.diff(block.series_ids) >= 0).all() and (np.diff(block.open_time)[same] > 0).all():
        return block
    order = np.lexsort((block.open_time, block.series_ids))
    columns = {name: values[order] for name, values in block.columns.items()}
    return Block(block.series_ids[order], block.open_time[order], columns)
