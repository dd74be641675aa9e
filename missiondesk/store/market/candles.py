"""Stored candles: written as they come, read as arrays, their gaps kept."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from sqlalchemy import Connection

from missiondesk.market.candles import Candles
from missiondesk.store.market.binary_copy import Column, Floats, Integers, Times, Words
from missiondesk.store.market.blocks import CANDLE_COLUMNS, read_block
from missiondesk.store.market.gaps import detect_gaps
from missiondesk.store.market.progress import ALWAYS, NEVER, forget_progress, last_seen
from missiondesk.store.market.series import Series, lock
from missiondesk.store.market.staging import Written, copy_out, listed, upsert
from models.market_tables import candle

Source = Literal["exchange", "trades", "lower"]
_SOURCES: tuple[Source, ...] = ("exchange", "trades", "lower")

# What the exchange itself served is replaced by what it serves, and by nothing that we made.
_SERVED_STAYS = "stored.source = 'exchange' AND given.source <> 'exchange'"


@dataclass(frozen=True)
class Extent:
    """The opening times (ms) of the first and the newest stored candle of a series."""

    first: int
    newest: int


def write_candles(
    connection: Connection, given: Sequence[tuple[Series, Candles]], source: Source = "exchange"
) -> dict[int, Written]:
    """Store closed candles; what differed before, by series. Locks these series.

    A series in which something changed that steps have seen already is calculated anew, from its first
    candle: only so do values that depend on all before come out bit-equal to one calculation of everything.
    """
    given = [(series, candles) for series, candles in given if len(candles)]
    if not given:
        return {}
    ids = [series.id for series, _ in given]
    lock(connection, ids)
    seen = last_seen(connection, ids)
    lengths = [len(candles) for _, candles in given]
    columns: dict[str, Column] = {
        "series_id": Integers(np.repeat(np.array(ids, dtype=np.int32), lengths)),
        "open_time": Times(np.concatenate([candles.open_time for _, candles in given])),
        **{
            name: Floats(np.concatenate([getattr(candles, name) for _, candles in given]))
            for name in CANDLE_COLUMNS
        },
        "source": Words(np.full(sum(lengths), _SOURCES.index(source)), _SOURCES),
    }
    written = upsert(connection, candle, columns, ("series_id", "open_time"), unless=_SERVED_STAYS)
    outdated = [id for id, change in written.items() if id in seen and change.first_open_time <= seen[id]]
    if outdated:
        forget_progress(connection, outdated)
    detect_gaps(connection, [series for series, _ in given], written, seen)
    return written


def read_candles(
    connection: Connection,
    of: Sequence[Series],
    after: Mapping[int, int] | None = None,
    until: int | None = None,
) -> list[Candles]:
    """The stored candles of each series later than `after` (ms, by id), not later than `until` (ms)."""
    since = [NEVER if after is None else after.get(each.id, NEVER) for each in of]
    ids = [each.id for each in of]
    ends = [ALWAYS if until is None else until] * len(ids)
    return read_block(connection, "candle", CANDLE_COLUMNS, ids, since, ends).candles(of)


def newest_candles(connection: Connection, of: Series, count: int, until: int) -> Candles:
    """The newest `count` stored candles of a series that opened not later than `until` (ms)."""
    block = read_block(connection, "candle", CANDLE_COLUMNS, [of.id], [until], [until], before_too=count)
    return block.candles([of])[0]


def extents(connection: Connection, ids: Collection[int]) -> dict[int, Extent]:
    """Where each series begins and ends; those without candles are left out."""
    found, first, newest = copy_out(
        connection,
        "SELECT id, first.open_time, newest.open_time FROM unnest(%(ids)s::int[]) AS wanted (id)"
        " CROSS JOIN LATERAL (SELECT open_time FROM candle WHERE series_id = id"
        "  ORDER BY open_time LIMIT 1) AS first"
        " CROSS JOIN LATERAL (SELECT open_time FROM candle WHERE series_id = id"
        "  ORDER BY open_time DESC LIMIT 1) AS newest",
        ["integer", "time", "time"],
        {"ids": listed(ids)},
    )
    return {
        id: Extent(*ends) for id, *ends in zip(found.tolist(), first.tolist(), newest.tolist(), strict=True)
    }
