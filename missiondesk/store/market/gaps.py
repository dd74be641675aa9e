"""Stretches of absent candles between stored ones: found as candles are written, and why they stay absent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import numpy as np
from sqlalchemy import Connection, Engine

from missiondesk.market.candles import TimeArray, timeframe_milliseconds
from missiondesk.store.market.blocks import read_block
from missiondesk.store.market.progress import ALWAYS
from missiondesk.store.market.series import Series
from missiondesk.store.market.staging import Written, execute, listed


class GapStatus(StrEnum):
    NEW = "new"
    """Not looked into yet, or not to its end."""
    UNTRADED = "untraded"
    """The exchange reaches back there and has no candle: nothing traded."""
    OUT_OF_REACH = "out of reach"
    """The exchange does not serve candles or trades that old, or too many to ask for."""


@dataclass(frozen=True)
class Gap:
    """Absent candles, from the first to the last of their opening times (ms)."""

    series: Series
    first: int
    last: int
    status: GapStatus

    @property
    def candles(self) -> int:
        return 1 + (self.last - self.first) // timeframe_milliseconds(self.series.interval)


def list_gaps(engine: Engine, series: Sequence[Series], status: GapStatus | None = None) -> list[Gap]:
    """The gaps of these series, by series and time."""
    by_id = {each.id: each for each in series}
    with engine.connect() as connection:
        rows = execute(
            connection,
            "SELECT series_id, (extract(epoch FROM first_open_time) * 1000)::bigint,"
            " (extract(epoch FROM last_open_time) * 1000)::bigint, status FROM candle_gap"
            " WHERE series_id = ANY (:ids) AND (CAST(:status AS text) IS NULL OR status = :status)"
            " ORDER BY series_id, first_open_time",
            ids=list(by_id),
            status=status,
        )
        return [Gap(by_id[row[0]], row[1], row[2], GapStatus(row[3])) for row in rows]


def settle_gaps(
    connection: Connection, series: Series, first: int, last: int, status: GapStatus, now: datetime
) -> int | None:
    """What is absent from `first` to `last` (ms, inclusive) and was new is now of this status.

    Where the first of these gaps begins (ms); None where there is none.
    """
    begins: int | None = execute(
        connection,
        "WITH settled AS (UPDATE candle_gap SET status = :status, looked_at = :now"
        " WHERE series_id = :id AND status = 'new'"
        " AND first_open_time >= to_timestamp(:first / 1000.0)"
        " AND last_open_time <= to_timestamp(:last / 1000.0) RETURNING first_open_time)"
        " SELECT (extract(epoch FROM min(first_open_time)) * 1000)::bigint FROM settled",
        status=status,
        now=now,
        id=series.id,
        first=first,
        last=last,
    ).scalar_one()
    return begins


def untraded_open_times(connection: Connection, series: Series, since: int) -> TimeArray:
    """Opening times (ms) from `since` on of candles that are absent because nothing traded."""
    length = timeframe_milliseconds(series.interval)
    rows = execute(
        connection,
        "SELECT (extract(epoch FROM first_open_time) * 1000)::bigint,"
        " (extract(epoch FROM last_open_time) * 1000)::bigint FROM candle_gap"
        " WHERE series_id = :id AND status = 'untraded' AND last_open_time >= to_timestamp(:since / 1000.0)",
        id=series.id,
        since=since,
    )
    stretches = [np.arange(first, last + length, length, dtype=np.int64) for first, last in rows]
    return np.concatenate([np.zeros(0, dtype=np.int64), *stretches])


def detect_gaps(
    connection: Connection, of: Sequence[Series], written: Mapping[int, Written], seen: Mapping[int, int]
) -> None:
    """Note what is absent between stored candles, from the candle before the first written one on.

    seen: the newest candle (ms) of each series that a step has seen. Most hours the one candle that follows
    it at once is all that comes, and no gap was noted later than it: then there is none to look for.
    """
    changed = {each.id: each for each in of if each.id in written and written[each.id].inserted}
    follows = [id for id, each in changed.items() if _follows(each, written[id], seen.get(id))]
    first = [written[id].first_open_time for id in follows]
    for id in set(follows) - _with_gaps_since(connection, follows, first):
        del changed[id]
    if not changed:
        return
    ids = np.array(sorted(changed), dtype=np.int32)
    before_written = [written[id].first_open_time - 1 for id in ids.tolist()]
    # A gap may end at the candle before what was written, or begin there.
    block = read_block(connection, "candle", (), ids, before_written, [ALWAYS] * len(ids), before_too=1)
    lengths = np.array([timeframe_milliseconds(changed[id].interval) for id in ids.tolist()])
    length = lengths[np.searchsorted(ids, block.series_ids)][:-1]
    holes = (np.diff(block.series_ids) == 0) & (np.diff(block.open_time) > length)
    begins = np.flatnonzero(np.diff(block.series_ids, prepend=-1))
    found = {
        "ids": listed(block.series_ids[:-1][holes]),
        "firsts": listed((block.open_time[:-1] + length)[holes]),
        "lasts": listed((block.open_time[1:] - length)[holes]),
    }
    gaps = (
        "(SELECT id, to_timestamp(first / 1000) AS first, to_timestamp(last / 1000) AS last"
        " FROM unnest(CAST(:ids AS int[]), CAST(:firsts AS float8[]), CAST(:lasts AS float8[]))"
        " AS gaps (id, first, last)) AS found"
    )
    execute(
        connection,
        "DELETE FROM candle_gap AS gap"  # noqa: S608
        " USING unnest(CAST(:changed AS int[]), CAST(:since AS float8[])) AS given (id, since)"
        " WHERE gap.series_id = given.id AND gap.last_open_time >= to_timestamp(since / 1000)"
        f" AND NOT EXISTS (SELECT FROM {gaps} WHERE id = gap.series_id"
        "  AND first = gap.first_open_time AND last = gap.last_open_time)",
        changed=listed(ids),
        since=listed(block.open_time[begins]),
        **found,
    )
    if holes.any():
        execute(
            connection,
            "INSERT INTO candle_gap (series_id, first_open_time, last_open_time)"  # noqa: S608
            f" SELECT id, first, last FROM {gaps} ON CONFLICT DO NOTHING",
            **found,
        )


def _follows(series: Series, written: Written, seen: int | None) -> bool:
    return (
        seen is not None
        and (written.inserted, written.updated) == (1, 0)
        and written.first_open_time == seen + timeframe_milliseconds(series.interval)
    )


def _with_gaps_since(connection: Connection, ids: Sequence[int], first: Sequence[int]) -> set[int]:
    """Those of these series with a noted gap that ends at `first` (ms) or later."""
    rows = execute(
        connection,
        "SELECT series_id FROM candle_gap JOIN unnest(CAST(:ids AS int[]), CAST(:first AS float8[]))"
        " AS given (id, first) ON id = series_id WHERE last_open_time >= to_timestamp(first / 1000)",
        ids=listed(ids),
        first=listed(first),
    )
    return {row[0] for row in rows}
