"""The best prices of markets as a time series: written in batches, read in the order they were heard."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Engine, delete, select, tuple_

from missiondesk.store.database import transaction
from missiondesk.store.market.staging import copy_in
from models.feed_tables import quote as quote_table
from models.quote import Quote

_COPY = (
    "COPY quote (exchange, symbol, bid, bid_amount, ask, ask_amount, at, received_at) FROM STDIN (FORMAT csv)"
)
_READ_AT_ONCE = 5000
_DELETED_AT_ONCE = 10_000


class Quotes:
    """Raises DatabaseUnreachable when the server does not answer; then nothing of the call was written."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def append(self, quotes: Sequence[Quote]) -> None:
        """All of them in one COPY, in their order."""
        if not quotes:
            return
        with transaction(self._engine) as connection:
            copy_in(connection, _COPY, (_line(quote).encode() for quote in quotes))

    def between(self, markets: Iterable[tuple[str, str]], begin: datetime, end: datetime) -> Iterator[Quote]:
        """Of these (exchange, symbol), heard from `begin` until before `end`, in the order of hearing."""
        wanted = tuple_(quote_table.c.exchange, quote_table.c.symbol).in_(list(markets))
        heard = (quote_table.c.received_at >= begin) & (quote_table.c.received_at < end)
        after = 0
        while True:
            page = (
                select(quote_table)
                .where(wanted, heard, quote_table.c.id > after)
                .order_by(quote_table.c.id)
                .limit(_READ_AT_ONCE)
            )
            with self._engine.connect() as connection:
                rows = connection.execute(page).all()
            for row in rows:
                yield Quote(
                    row.exchange,
                    row.symbol,
                    row.bid,
                    row.bid_amount,
                    row.ask,
                    row.ask_amount,
                    row.at,
                    row.received_at,
                )
            if len(rows) < _READ_AT_ONCE:
                return
            after = rows[-1].id

    def forget(self, before: datetime) -> int:
        """Delete what was heard before; how many they were. In batches, so that writers need not wait."""
        forgotten = 0
        old = (
            select(quote_table.c.id).where(quote_table.c.received_at < before).limit(_DELETED_AT_ONCE)
        ).scalar_subquery()
        while True:
            with self._engine.connect() as connection:
                deleted = connection.execute(delete(quote_table).where(quote_table.c.id.in_(old))).rowcount
            forgotten += deleted
            if deleted < _DELETED_AT_ONCE:
                return forgotten


def _line(quote: Quote) -> str:
    return (
        f'"{quote.exchange}","{quote.symbol}",{_number(quote.bid)},{_number(quote.bid_amount)},'
        f"{_number(quote.ask)},{_number(quote.ask_amount)},{quote.at.isoformat()},"
        f"{quote.received_at.isoformat()}\n"
    )


def _number(number: Decimal | None) -> str:
    return "" if number is None else str(number)
