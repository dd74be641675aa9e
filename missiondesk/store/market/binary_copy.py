"""Columns of numbers to and from PostgreSQL's binary COPY format, without a Python object per value.

Rows of the same shape (the same fields null, the same words) have the same length, so they are laid out as
one NumPy record array each. The format is in PostgreSQL's manual, under COPY, "Binary Format".
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from missiondesk.market.candles import FloatArray, TimeArray

_HEADER: Final = b"PGCOPY\n\xff\r\n\x00" + struct.pack(">ii", 0, 0)
_TRAILER: Final = struct.pack(">h", -1)
_JSONB_VERSION: Final = b"\x01"

# PostgreSQL counts microseconds from 2000-01-01T00:00Z.
_EPOCH_MS: Final = 946_684_800_000


@dataclass(frozen=True, eq=False)
class Integers:
    """An `integer` column, never null."""

    values: NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class Floats:
    """A `double precision` column; NaN is written as null."""

    values: FloatArray


@dataclass(frozen=True, eq=False)
class Times:
    """A `timestamptz` column of milliseconds since 1970; null where `absent`."""

    values: TimeArray
    absent: NDArray[np.bool_] | None = None


@dataclass(frozen=True, eq=False)
class Words:
    """A `text` column of a few different words: each row has the place of its word."""

    places: NDArray[np.integer]
    words: Sequence[str]


@dataclass(frozen=True, eq=False)
class Documents:
    """A `jsonb` column of JSON texts."""

    texts: Sequence[str]


Column = Integers | Floats | Times | Words | Documents
ReadKind = Literal["integer", "time", "float"]

_READ_TYPES: Final[Mapping[ReadKind, str]] = {"integer": ">i4", "time": ">i8", "float": ">f8"}


def encode(columns: Sequence[Column]) -> Iterator[bytes]:
    """The rows as pieces of one COPY stream; not in their order. Documents have to be the last columns."""
    fixed = [column for column in columns if not isinstance(column, Documents)]
    documents = [column for column in columns if isinstance(column, Documents)]
    yield _HEADER
    for rows in _of_same_shape(fixed):
        records = _records(fixed, len(columns), rows)
        yield records.tobytes() if not documents else _with_documents(records, documents, rows)
    yield _TRAILER


def decode(copied: bytes | memoryview, kinds: Sequence[ReadKind]) -> list[NDArray[np.generic]]:
    """The columns of a COPY stream without nulls, in native byte order; times in milliseconds."""
    fields = [("count", ">i2")]
    for place, kind in enumerate(kinds):
        fields += [(f"length{place}", ">i4"), (f"value{place}", _READ_TYPES[kind])]
    rows = copied[len(_HEADER) : -len(_TRAILER)]
    records = np.frombuffer(rows, dtype=fields) if len(rows) else np.empty(0, dtype=fields)
    return [_native(records[f"value{place}"], kind) for place, kind in enumerate(kinds)]


def _native(values: NDArray[np.generic], kind: ReadKind) -> NDArray[np.generic]:
    native = values.astype(values.dtype.newbyteorder("="))
    return native // 1000 + _EPOCH_MS if kind == "time" else native


def _of_same_shape(columns: Sequence[Column]) -> Iterator[NDArray[np.intp]]:
    """The places of rows that are alike in nulls and words, group by group."""
    shape = np.zeros(_length(columns[0]), dtype=np.int64)
    for column in columns:
        match column:
            case Floats(values):
                shape = shape * 2 + np.isnan(values)
            case Times(_, absent) if absent is not None:
                shape = shape * 2 + absent
            case Words(places, words):
                shape = shape * len(words) + places
            case _:
                pass
    if len(shape) == 0:
        return
    order = np.argsort(shape, kind="stable")
    starts = np.flatnonzero(np.diff(shape[order])) + 1
    yield from np.split(order, starts)


def _length(column: Column) -> int:
    match column:
        case Words(places, _):
            return len(places)
        case Documents(texts):
            return len(texts)
        case Integers(values) | Floats(values) | Times(values, _):
            return len(values)


def _records(columns: Sequence[Column], count: int, rows: NDArray[np.intp]) -> NDArray[np.void]:
    fields: list[tuple[str, str]] = [("count", ">i2")]
    content: dict[str, Any] = {"count": count}
    first = rows[0]
    kind: str
    for place, column in enumerate(columns):
        length, value = f"length{place}", f"value{place}"
        match column:
            case Integers(values):
                kind, content[value] = ">i4", values[rows]
            case Floats(floats):
                kind, content[value] = "" if np.isnan(floats[first]) else ">f8", floats[rows]
            case Times(times, absent):
                kind = "" if absent is not None and absent[first] else ">i8"
                content[value] = (times[rows] - _EPOCH_MS) * 1000
            case Words(places, words):
                text = words[places[first]].encode()
                kind, content[value] = f"S{len(text)}", text
            case Documents():
                raise ValueError("documents are not of one length")
        fields.append((length, ">i4"))
        content[length] = np.dtype(kind).itemsize if kind else -1
        if kind:
            fields.append((value, kind))
    records = np.empty(len(rows), dtype=fields)
    for name, _ in fields:
        records[name] = content[name]
    return records


def _with_documents(
    records: NDArray[np.void], documents: Sequence[Documents], rows: NDArray[np.intp]
) -> bytes:
    width = records.dtype.itemsize
    packed = records.tobytes()
    parts: list[Iterable[bytes]] = [[packed[start : start + width] for start in range(0, len(packed), width)]]
    parts += [map(_document, [column.texts[row] for row in rows.tolist()]) for column in documents]
    return b"".join(chain.from_iterable(zip(*parts, strict=True)))


def _document(text: str) -> bytes:
    content = _JSONB_VERSION + text.encode()
    return struct.pack(">i", len(content)) + content
