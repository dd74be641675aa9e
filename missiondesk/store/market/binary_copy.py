"""Columns of numbers to and from PostgreSQL's binary COPY format, without a Python object per value.

Rows of the same shape (the same fields null, the same words) have the same length, so they are laid out as
one NumPy record array each. The format is in PostgreSQL's manual, under COPY, "Binary Format".
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from missiondesk.market.candles import FloatArray, TimeArray

_HEADER: Final = b"PGCOPY\n\xff\r\n\x00" + struct.pack(">ii", 0, 0)
_TRAILER: Final = struct.pack(">h", -1)
_JSONB_VERSION: Final = b"\x01"
_LENGTH: Final = struct.Struct(">i")

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
class FloatLists:
    """A `double precision[]` column: a list of the same length in each row, shape (rows, length)."""

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
    """The last columns of a table, `jsonb` all of them: a JSON text for each in every row.

    rows: made when they are written, so that the texts of few rows are in memory at a time.
    """

    names: tuple[str, ...]
    rows: Iterable[tuple[str, ...]]


Column = Integers | Floats | FloatLists | Times | Words
ReadKind = Literal["integer", "time", "float"] | int
"""A number stands for `double precision[]` with so many in each row."""

_READ_TYPES: Final[Mapping[ReadKind, str]] = {"integer": ">i4", "time": ">i8", "float": ">f8"}
_FLOAT8: Final = 701
_ROWS_AT_ONCE: Final = 16_384


def encode(columns: Sequence[Column], documents: Documents | None = None) -> Iterator[bytes]:
    """The rows as pieces of one COPY stream; not in their order."""
    shapes = _shapes(columns)
    texts = iter(documents.rows) if documents else iter(())
    width = len(columns) + (len(documents.names) if documents else 0)
    yield _HEADER
    for start in range(0, len(shapes), _ROWS_AT_ONCE):
        part = shapes[start : start + _ROWS_AT_ONCE]
        told = [*islice(texts, len(part))]
        for rows in _of_same_shape(part):
            records = _records(columns, width, rows + start)
            if documents:
                yield _with_documents(records, [told[row] for row in rows.tolist()])
            else:
                yield records.tobytes()
    yield _TRAILER


def decode(copied: bytes | memoryview, kinds: Sequence[ReadKind]) -> list[NDArray[np.generic]]:
    """The columns of a COPY stream without nulls, in native byte order; times in milliseconds."""
    fields: list[tuple[str, Any]] = [("count", ">i2")]
    for place, kind in enumerate(kinds):
        type = _list_type(kind) if isinstance(kind, int) else _READ_TYPES[kind]
        fields += [(f"length{place}", ">i4"), (f"value{place}", type)]
    rows = copied[len(_HEADER) : -len(_TRAILER)]
    records = np.frombuffer(rows, dtype=fields) if len(rows) else np.empty(0, dtype=fields)
    return [_native(records[f"value{place}"], kind) for place, kind in enumerate(kinds)]


def _list_type(length: int) -> list[Any]:
    header = [(name, ">i4") for name in ("dimensions", "nulls", "type")]
    if length == 0:
        return header
    item = [("size", ">i4"), ("value", ">f8")]
    return [*header, ("length", ">i4"), ("first", ">i4"), ("items", item, (length,))]


def _lists(values: FloatArray) -> NDArray[np.void]:
    rows, length = values.shape
    lists = np.empty(rows, dtype=_list_type(length))
    lists["dimensions"], lists["nulls"], lists["type"] = int(length > 0), 0, _FLOAT8
    if length:
        lists["length"], lists["first"] = length, 1
        lists["items"]["size"], lists["items"]["value"] = 8, values
    return lists


def _native(values: NDArray[Any], kind: ReadKind) -> NDArray[np.generic]:
    if isinstance(kind, int):
        if kind == 0:
            return np.empty((len(values), 0))
        return np.asarray(values["items"]["value"], dtype=np.float64)
    native = values.astype(values.dtype.newbyteorder("="))
    return native // 1000 + _EPOCH_MS if kind == "time" else native


def _shapes(columns: Sequence[Column]) -> NDArray[np.int64]:
    """The same number for rows that are alike in nulls and words."""
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
    return shape


def _of_same_shape(shapes: NDArray[np.int64]) -> Iterator[NDArray[np.intp]]:
    order = np.argsort(shapes, kind="stable")
    starts = np.flatnonzero(np.diff(shapes[order])) + 1
    yield from np.split(order, starts)


def _length(column: Column) -> int:
    match column:
        case Words(places, _):
            return len(places)
        case Integers(values) | Floats(values) | FloatLists(values) | Times(values, _):
            return len(values)


def _records(columns: Sequence[Column], count: int, rows: NDArray[np.intp]) -> NDArray[np.void]:
    fields: list[tuple[str, Any]] = [("count", ">i2")]
    content: dict[str, Any] = {"count": count}
    first = rows[0]
    kind: Any
    for place, column in enumerate(columns):
        length, value = f"length{place}", f"value{place}"
        match column:
            case Integers(values):
                kind, content[value] = ">i4", values[rows]
            case Floats(floats):
                kind, content[value] = "" if np.isnan(floats[first]) else ">f8", floats[rows]
            case FloatLists(lists):
                content[value] = _lists(lists[rows])
                kind = content[value].dtype
            case Times(times, absent):
                kind = "" if absent is not None and absent[first] else ">i8"
                content[value] = (times[rows] - _EPOCH_MS) * 1000
            case Words(places, words):
                text = words[places[first]].encode()
                kind, content[value] = f"S{len(text)}", text
        fields.append((length, ">i4"))
        content[length] = np.dtype(kind).itemsize if kind else -1
        if kind:
            fields.append((value, kind))
    records = np.empty(len(rows), dtype=fields)
    for name, _ in fields:
        records[name] = content[name]
    return records


def _with_documents(records: NDArray[np.void], documents: Sequence[tuple[str, ...]]) -> bytes:
    width = records.dtype.itemsize
    packed = records.tobytes()
    parts: list[bytes] = []
    for start, texts in zip(range(0, len(packed), width), documents, strict=True):
        parts.append(packed[start : start + width])
        for text in texts:
            content = text.encode()
            parts += (_LENGTH.pack(len(content) + 1), _JSONB_VERSION, content)
    return b"".join(parts)
