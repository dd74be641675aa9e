"""The series (one market in one interval each), who may write them now, and how far each step has come."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, select
from sqlalchemy.dialects.postgresql import insert

from missiondesk.store.market.staging import execute
from models.market_tables import series as series_table

NEVER = -(2**53)
"""A time (ms) before every candle."""


@dataclass(frozen=True)
class Series:
    """Candles of one market in one interval, and what is calculated of them."""

    id: int
    exchange: str
    symbol: str
    interval: str

    def __str__(self) -> str:
        return f"{self.exchange} {self.symbol} {self.interval}"


@dataclass(frozen=True)
class StepState:
    """What a step remembers of one series after its newest candle (ms)."""

    last_open_time: int
    state: Mapping[str, Any]


def keep_series(
    engine: Engine, exchange: str, symbols: Iterable[str], intervals: Sequence[str]
) -> list[Series]:
    """The series of these markets, made where they are new; by symbol and interval, in the order given."""
    wanted = [(symbol, interval) for symbol in symbols for interval in intervals]
    with engine.connect() as connection:
        present = _series(connection, exchange)
        absent = [names for names in wanted if names not in present]
        if absent:
            rows = [
                {"exchange": exchange, "symbol": symbol, "interval": interval} for symbol, interval in absent
            ]
            connection.execute(insert(series_table).values(rows).on_conflict_do_nothing())
            present = _series(connection, exchange)
    return [present[names] for names in wanted]


def find_series(engine: Engine, exchange: str | None = None) -> list[Series]:
    """Every series, or those of one exchange, by exchange, symbol and id."""
    query = select(series_table).order_by(series_table.c.exchange, series_table.c.symbol, series_table.c.id)
    if exchange is not None:
        query = query.where(series_table.c.exchange == exchange)
    with engine.connect() as connection:
        return [Series(row.id, row.exchange, row.symbol, row.interval) for row in connection.execute(query)]


def lock(connection: Connection, ids: Collection[int]) -> None:
    """Be the only writer of these series until the transaction ends; waits for the writers before."""
    execute(connection, "SELECT id FROM series WHERE id = ANY (:ids) ORDER BY id FOR UPDATE", ids=sorted(ids))


def read_states(connection: Connection, step: str, ids: Collection[int]) -> dict[int, StepState]:
    """How far a step has come, by series; none where it has not begun."""
    rows = execute(
        connection,
        "SELECT series_id, (extract(epoch FROM last_open_time) * 1000)::bigint, state"
        " FROM series_state WHERE step = :step AND series_id = ANY (:ids)",
        step=step,
        ids=list(ids),
    )
    return {row[0]: StepState(row[1], row[2]) for row in rows}


def save_states(connection: Connection, step: str, states: Mapping[int, StepState]) -> None:
    """Go on from here the next time."""
    execute(
        connection,
        "INSERT INTO series_state (series_id, step, last_open_time, state)"
        " SELECT id, :step, to_timestamp(at / 1000.0), state::json"
        " FROM unnest(CAST(:ids AS int[]), CAST(:times AS bigint[]), CAST(:states AS text[]))"
        " AS given (id, at, state)"
        " ON CONFLICT (series_id, step) DO UPDATE"
        " SET last_open_time = excluded.last_open_time, state = excluded.state",
        step=step,
        ids=list(states),
        times=[state.last_open_time for state in states.values()],
        states=[json.dumps(state.state) for state in states.values()],
    )


def forget_states(connection: Connection, ids: Collection[int]) -> None:
    """Let every step begin these series anew: candles that it has seen are others now."""
    execute(connection, "DELETE FROM series_state WHERE series_id = ANY (:ids)", ids=list(ids))


def _series(connection: Connection, exchange: str) -> dict[tuple[str, str], Series]:
    rows = connection.execute(select(series_table).where(series_table.c.exchange == exchange))
    found = (Series(row.id, row.exchange, row.symbol, row.interval) for row in rows)
    return {(each.symbol, each.interval): each for each in found}
