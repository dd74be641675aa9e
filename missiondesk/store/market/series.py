"""The series (one market in one interval each), and who may write them now."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, select
from sqlalchemy.dialects.postgresql import insert

from missiondesk.store.market.staging import execute
from models.market_tables import series as series_table


@dataclass(frozen=True)
class Series:
    """Candles of one market in one interval, and what is calculated of them."""

    id: int
    exchange: str
    symbol: str
    interval: str

    def __str__(self) -> str:
        return f"{self.exchange} {self.symbol} {self.interval}"


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


def _series(connection: Connection, exchange: str) -> dict[tuple[str, str], Series]:
    rows = connection.execute(select(series_table).where(series_table.c.exchange == exchange))
    found = (Series(row.id, row.exchange, row.symbol, row.interval) for row in rows)
    return {(each.symbol, each.interval): each for each in found}
