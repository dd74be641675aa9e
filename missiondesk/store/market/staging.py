"""Rows go through a temporary table: COPY into it, then one INSERT that changes only what differs."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Table, text

from missiondesk.store.market.binary_copy import Column, Integers, ReadKind, Times, decode, encode

_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class Written:
    """What an upsert did to one series: rows that are new, rows that differed, and from when (ms) on."""

    inserted: int
    updated: int
    first_open_time: int


def upsert(
    connection: Connection,
    table: Table,
    columns: Mapping[str, Column],
    key: Sequence[str],
    *,
    unless: str = "",
    whole: Collection[int] = (),
) -> dict[int, Written]:
    """Insert or change rows by their key, in the transaction of `connection`; series that changed, by id.

    `unless` names rows that stay as they are, over `stored` and `given`. Of the series in `whole` these are
    all rows that there shall be: others are deleted.
    """
    names = list(columns)
    staged = f"staged_{table.name}"
    listed, keys = ", ".join(names), ", ".join(key)
    values = [name for name in names if name not in key]
    execute(connection, f"CREATE TEMPORARY TABLE {staged} AS SELECT {listed} FROM {table.name} WITH NO DATA")  # noqa: S608
    copy_in(connection, f"COPY {staged} ({listed}) FROM STDIN (FORMAT binary)", encode([*columns.values()]))
    if whole:
        same = " AND ".join(f"given.{name} = stored.{name}" for name in key)
        execute(
            connection,
            f"DELETE FROM {table.name} stored WHERE series_id = ANY (:whole)"  # noqa: S608
            f" AND NOT EXISTS (SELECT FROM {staged} given WHERE {same})",
            whole=list(whole),
        )
    condition = f"({_each('stored', values)}) IS DISTINCT FROM ({_each('excluded', values)})"
    if unless:
        condition += f" AND NOT ({unless.replace('given.', 'excluded.')})"
    found = execute(
        connection,
        f"WITH written AS ("  # noqa: S608
        f" INSERT INTO {table.name} AS stored ({listed}) SELECT {listed} FROM {staged}"
        f" ON CONFLICT ({keys}) DO UPDATE SET ({', '.join(values)}) = ROW ({_each('excluded', values)})"
        f" WHERE {condition}"
        f" RETURNING stored.series_id, stored.open_time, stored.xmax = 0 AS inserted)"
        f" SELECT series_id, count(*) FILTER (WHERE inserted), count(*) FILTER (WHERE NOT inserted),"
        f" (extract(epoch FROM min(open_time)) * 1000)::bigint FROM written GROUP BY series_id",
    )
    written = {row[0]: Written(row[1], row[2], row[3]) for row in found}
    execute(connection, f"DROP TABLE {staged}")
    return written


def write_calculated(
    connection: Connection,
    table: Table,
    columns: Mapping[str, Column],
    key: Sequence[str],
    anew: Collection[int],
) -> dict[int, Written]:
    """Write what was calculated of candles that had no rows yet, except for the series `anew`.

    Those were calculated from their beginning on; where they have rows, everything is compared with them. All
    else is new for certain, since rows and states are written together, and goes straight into the table.
    """
    stored = (
        bool(anew)
        and execute(
            connection,
            f"SELECT EXISTS (SELECT FROM {table.name} WHERE series_id = ANY (:anew))",  # noqa: S608
            anew=list(anew),
        ).scalar_one()
    )
    if stored:
        return upsert(connection, table, columns, key, whole=anew)
    listed = ", ".join(columns)
    copy_in(
        connection, f"COPY {table.name} ({listed}) FROM STDIN (FORMAT binary)", encode([*columns.values()])
    )
    return _new_rows(columns["series_id"], columns["open_time"])


def _new_rows(ids: Column, times: Column) -> dict[int, Written]:
    assert isinstance(ids, Integers) and isinstance(times, Times)
    found, firsts, counts = np.unique(ids.values, return_index=True, return_counts=True)
    return {
        id: Written(count, 0, first)
        for id, count, first in zip(
            found.tolist(), counts.tolist(), times.values[firsts].tolist(), strict=True
        )
    }


def copy_in(connection: Connection, statement: str, pieces: Iterable[bytes]) -> None:
    """Run a COPY … FROM STDIN over these bytes."""
    cursor = connection.connection.cursor()
    cursor.copy_expert(statement, _Pieces(pieces), _AT_ONCE)


def copy_out(
    connection: Connection, query: str, kinds: Sequence[ReadKind], parameters: Mapping[str, Any]
) -> list[NDArray[np.generic]]:
    """The columns of a query, in the %(name)s style, whose fields are never null."""
    cursor = connection.connection.cursor()
    buffer = io.BytesIO()
    asked = cursor.mogrify(query, parameters).decode()
    cursor.copy_expert(f"COPY ({asked}) TO STDOUT (FORMAT binary)", buffer)
    return decode(buffer.getbuffer(), kinds)


def execute(connection: Connection, statement: str, **parameters: Any) -> Any:
    return connection.execute(text(statement), parameters)


def _each(table: str, names: Sequence[str]) -> str:
    return ", ".join(f"{table}.{name}" for name in names)


class _Pieces(io.RawIOBase):
    """The pieces as one file to read from, never all in memory at once."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if not self._left:
            self._left = memoryview(next(self._pieces, b""))
        part, self._left = self._left[:size], self._left[size:]
        return bytes(part)
