"""Rows go through a temporary table: COPY into it, then one INSERT that changes only what differs."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Table, text

from missiondesk.store.market.binary_copy import Column, Documents, Integers, ReadKind, decode, encode

_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class Written:
    """What an upsert did to one series: rows that are new, rows that differed, and from when (ms) on."""

    inserted: int
    updated: int
    first_open_time: int


@dataclass(frozen=True)
class Calculated:
    """What was written of a calculation: series with rows that changed, rows that are new, that differed."""

    series: int = 0
    inserted: int = 0
    updated: int = 0

    def and_also(self, other: Calculated) -> Calculated:
        return Calculated(
            self.series + other.series, self.inserted + other.inserted, self.updated + other.updated
        )


def upsert(
    connection: Connection,
    table: Table,
    columns: Mapping[str, Column],
    key: Sequence[str],
    *,
    documents: Documents | None = None,
    unless: str = "",
    whole: Collection[int] = (),
) -> dict[int, Written]:
    """Insert or change rows by their key, in the transaction of `connection`; series that changed, by id.

    `unless` names rows that stay as they are, over `stored` and `given`. Of the series in `whole` these are
    all rows that there shall be: others are deleted (then `unless` is over `stored` alone).
    """
    names = [*columns, *(documents.names if documents else ())]
    staged = f"staged_{table.name}"
    among, keys = ", ".join(names), ", ".join(key)
    values = [name for name in names if name not in key]
    execute(connection, f"CREATE TEMPORARY TABLE {staged} AS SELECT {among} FROM {table.name} WITH NO DATA")  # noqa: S608
    _copy_rows(connection, staged, columns, documents)
    if whole:
        same = " AND ".join(f"given.{name} = stored.{name}" for name in key)
        execute(
            connection,
            f"DELETE FROM {table.name} stored WHERE series_id = ANY (CAST(:whole AS int[]))"  # noqa: S608
            f" AND NOT EXISTS (SELECT FROM {staged} given WHERE {same}) AND NOT ({unless or 'false'})",
            whole=listed(whole),
        )
    condition = f"({_each('stored', values)}) IS DISTINCT FROM ({_each('excluded', values)})"
    if unless:
        condition += f" AND NOT ({unless.replace('given.', 'excluded.')})"
    ids, inserted, updated, first = copy_out(
        connection,
        f"WITH written AS ("  # noqa: S608
        f" INSERT INTO {table.name} AS stored ({among}) SELECT {among} FROM {staged}"
        f" ON CONFLICT ({keys}) DO UPDATE SET ({', '.join(values)}) = ROW ({_each('excluded', values)})"
        f" WHERE {condition}"
        f" RETURNING stored.series_id, stored.open_time, stored.xmax = 0 AS inserted)"
        f" SELECT series_id, (count(*) FILTER (WHERE inserted))::int,"
        f" (count(*) FILTER (WHERE NOT inserted))::int, min(open_time) FROM written GROUP BY series_id",
        ["integer", "integer", "integer", "time"],
    )
    execute(connection, f"DROP TABLE {staged}")
    changes = zip(ids.tolist(), inserted.tolist(), updated.tolist(), first.tolist(), strict=True)
    return {id: Written(*change) for id, *change in changes}


def write_calculated(
    connection: Connection,
    table: Table,
    columns: Mapping[str, Column],
    key: Sequence[str],
    anew: Collection[int],
    *,
    documents: Documents | None = None,
    unless: str = "",
) -> Calculated:
    """Write what was calculated of candles that had no rows yet, except for the series `anew`.

    Those were calculated from their beginning on; where they have rows, everything is compared with them. All
    else is new for certain, since rows and states are written together, and goes straight into the table.
    """
    stored = (
        bool(anew)
        and execute(
            connection,
            f"SELECT EXISTS (SELECT FROM {table.name} WHERE series_id = ANY (CAST(:anew AS int[])))",  # noqa: S608
            anew=listed(anew),
        ).scalar_one()
    )
    if stored:
        written = upsert(connection, table, columns, key, documents=documents, unless=unless, whole=anew)
        inserted, updated = (
            sum(getattr(each, what) for each in written.values()) for what in ("inserted", "updated")
        )
        return Calculated(len(written), inserted, updated)
    _copy_rows(connection, table.name, columns, documents)
    ids = columns["series_id"]
    assert isinstance(ids, Integers)
    return Calculated(int(np.count_nonzero(np.diff(ids.values, prepend=-1))), len(ids.values))


def _copy_rows(
    connection: Connection, table: str, columns: Mapping[str, Column], documents: Documents | None
) -> None:
    names = [*columns, *(documents.names if documents else ())]
    statement = f"COPY {table} ({', '.join(names)}) FROM STDIN (FORMAT binary)"
    copy_in(connection, statement, encode([*columns.values()], documents))


def copy_in(connection: Connection, statement: str, pieces: Iterable[bytes]) -> None:
    """Run a COPY … FROM STDIN over these bytes."""
    cursor = connection.connection.cursor()
    cursor.copy_expert(statement, _Pieces(pieces), _AT_ONCE)


def copy_out(
    connection: Connection, query: str, kinds: Sequence[ReadKind], parameters: Mapping[str, Any] | None = None
) -> list[NDArray[np.generic]]:
    """The columns of a query, in the %(name)s style, whose fields are never null."""
    cursor = connection.connection.cursor()
    buffer = io.BytesIO()
    asked = cursor.mogrify(query, parameters).decode()
    cursor.copy_expert(f"COPY ({asked}) TO STDOUT (FORMAT binary)", buffer)
    return decode(buffer.getbuffer(), kinds)


def listed(values: Iterable[object]) -> str:
    """An array as PostgreSQL reads it from text, for a parameter that is cast."""
    return "{" + ",".join(map(str, values)) + "}"


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
