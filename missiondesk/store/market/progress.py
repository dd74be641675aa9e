"""How far each step has come in each series, by which rules, and what it remembers to go on from there."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from missiondesk.market.candles import FloatArray, TimeArray
from missiondesk.store.market.binary_copy import Column, FloatLists, Integers, ReadKind, Times, Words, encode
from missiondesk.store.market.staging import copy_in, copy_out, execute, listed

NEVER: Final = -62_135_596_800_000
"""A time (ms) before every candle: the year 1."""
ALWAYS: Final = 253_402_300_799_999
"""A time (ms) after every candle: the end of the year 9999."""

_COLUMNS: Final = "series_id, step, last_open_time, rules, numbers"


@dataclass(frozen=True, eq=False)
class Pending:
    """Series that have candles which a step has not seen, by ascending id.

    after, until: opening times (ms) between which these are, exclusive and inclusive; `after` is NEVER where
    the step begins with the first candle. numbers: what it remembers, shape (series, numbers).
    """

    ids: NDArray[np.int32]
    after: TimeArray
    until: TimeArray
    candles: NDArray[np.int64]
    numbers: FloatArray

    def __len__(self) -> int:
        return len(self.ids)

    def first(self, candles: int) -> Pending:
        """The first of these, with not more candles together than this; one series at least."""
        count = max(int(np.searchsorted(np.cumsum(self.candles), candles, side="right")), 1)
        return self[slice(0, count)]

    def __getitem__(self, some: slice | NDArray[np.bool_]) -> Pending:
        return Pending(
            self.ids[some], self.after[some], self.until[some], self.candles[some], self.numbers[some]
        )

    @property
    def anew(self) -> list[int]:
        """The ids of those that begin with their first candle."""
        return [int(id) for id in self.ids[self.after == NEVER]]


def pending(
    connection: Connection,
    step: str,
    rules: str,
    beginning: FloatArray,
    ids: Collection[int],
    predecessors: Mapping[str, str],
) -> Pending:
    """What a step has to do in these series, as far as its predecessors have come by the rules given of each.

    Where it has not begun, or by other rules, it begins with the numbers of `beginning`.
    """
    reached = (
        "JOIN (SELECT series_id, min(last_open_time) AS until FROM series_state"
        " WHERE (step, rules) IN (SELECT * FROM unnest(%(before)s::text[], %(by)s::text[]))"
        " GROUP BY series_id HAVING count(*) = %(steps)s) AS reached"
        " ON reached.series_id = wanted.id"
        if predecessors
        else "CROSS JOIN (SELECT to_timestamp(%(always)s / 1000.0) AS until) AS reached"
    )
    query = (
        "SELECT wanted.id, coalesce(own.last_open_time, to_timestamp(%(never)s / 1000.0)), until, candles,"  # noqa: S608
        " coalesce(own.numbers, %(beginning)s::float8[])"
        f" FROM unnest(%(ids)s::int[]) AS wanted (id) {reached}"
        " LEFT JOIN series_state AS own ON own.series_id = wanted.id AND own.step = %(step)s"
        "  AND own.rules = %(rules)s"
        " CROSS JOIN LATERAL (SELECT count(*)::int AS candles FROM candle WHERE series_id = wanted.id"
        "  AND open_time > coalesce(own.last_open_time, '-infinity') AND open_time <= until) AS fresh"
        " WHERE candles > 0 ORDER BY wanted.id"
    )
    parameters = {
        "ids": listed(ids),
        "step": step,
        "rules": rules,
        "before": list(predecessors),
        "by": list(predecessors.values()),
        "steps": len(predecessors),
        "beginning": listed(beginning.tolist()),
        "never": NEVER,
        "always": ALWAYS,
    }
    kinds: list[ReadKind] = ["integer", "time", "time", "integer", len(beginning)]
    series_ids, after, until, candles, numbers = copy_out(connection, query, kinds, parameters)
    return Pending(
        cast(NDArray[np.int32], series_ids),
        cast(TimeArray, after),
        cast(TimeArray, until),
        candles.astype(np.int64),
        cast(FloatArray, numbers),
    )


def save_progress(
    connection: Connection, step: str, rules: str, done: Pending, last: TimeArray, numbers: FloatArray
) -> None:
    """Go on after these opening times (ms) with these numbers the next time."""
    _forget(connection, done.ids, "step = :step", step=step)
    steps, of_rules = (Words(np.zeros(len(done), dtype=np.int8), [word]) for word in (step, rules))
    rows: list[Column] = [Integers(done.ids), steps, Times(last), of_rules, FloatLists(numbers)]
    copy_in(connection, f"COPY series_state ({_COLUMNS}) FROM STDIN (FORMAT binary)", encode(rows))


def forget_progress(connection: Connection, ids: Collection[int]) -> None:
    """Let every step begin these series anew: candles that it has seen are others now."""
    _forget(connection, ids, "true")


def last_seen(connection: Connection, ids: Collection[int]) -> dict[int, int]:
    """The newest candle (ms) of each series that any step has seen."""
    query = (
        "SELECT series_id, max(last_open_time) FROM series_state"
        " WHERE series_id = ANY (%(ids)s::int[]) GROUP BY series_id"
    )
    series_ids, times = copy_out(connection, query, ["integer", "time"], {"ids": listed(ids)})
    return dict(zip(series_ids.tolist(), times.tolist(), strict=True))


def _forget(connection: Connection, ids: Collection[int], which: str, **parameters: str) -> None:
    execute(
        connection,
        f"DELETE FROM series_state WHERE series_id = ANY (CAST(:ids AS int[])) AND {which}",  # noqa: S608
        ids=listed(ids),
        **parameters,
    )
