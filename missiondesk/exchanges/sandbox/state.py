"""What an exchange knows, in one SQLite file, so that a killed sandbox comes back as it was."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path

from missiondesk.exchanges.sandbox.orders import Fill, Order
from missiondesk.exchanges.sandbox.positions import Position

_TABLES = """
create table if not exists trade_order (id text primary key, body text not null);
create table if not exists fill (number integer primary key, body text not null);
create table if not exists balance (asset text primary key, amount text not null);
create table if not exists position (symbol text primary key, body text not null);
create table if not exists nonce (key text primary key, value integer not null);
create table if not exists fact (name text primary key, value text not null);
"""


class State:
    """Without a path it lives in memory. Each method is one transaction."""

    def __init__(self, path: Path | None = None) -> None:
        self._connection = sqlite3.connect(path or ":memory:", check_same_thread=False)
        self._connection.execute("pragma journal_mode=wal")
        self._connection.execute("pragma synchronous=normal")
        self._connection.executescript(_TABLES)

    def close(self) -> None:
        self._connection.close()

    def orders(self) -> list[Order]:
        """In the order they were accepted."""
        rows = self._connection.execute("select body from trade_order order by rowid")
        return [Order.model_validate_json(body) for (body,) in rows]

    def fills(self) -> list[Fill]:
        rows = self._connection.execute("select body from fill order by number")
        return [Fill.model_validate_json(body) for (body,) in rows]

    def balances(self) -> dict[str, Decimal]:
        return {asset: Decimal(amount) for asset, amount in self._connection.execute("select * from balance")}

    def positions(self) -> list[Position]:
        """Flat ones too, for their leverage."""
        rows = self._connection.execute("select body from position order by symbol")
        return [Position.model_validate_json(body) for (body,) in rows]

    def save_positions(self, positions: Iterable[Position], balances: Mapping[str, Decimal]) -> None:
        """Positions that no order changed, with the balances that belong to them."""
        with self._connection:
            self._put_positions(positions)
            self._put_balances(balances)

    def save(
        self,
        order: Order,
        fills: Iterable[Fill],
        balances: Mapping[str, Decimal],
        positions: Iterable[Position] = (),
    ) -> None:
        """An order's new state with the fills, balances and positions that belong to it."""
        with self._connection as transaction:
            transaction.execute(
                "insert into trade_order values (?, ?) on conflict (id) do update set body = excluded.body",
                (order.id, order.model_dump_json()),
            )
            transaction.executemany(
                "insert into fill values (?, ?)", [(fill.number, fill.model_dump_json()) for fill in fills]
            )
            self._put_balances(balances)
            self._put_positions(positions)

    def save_balances(self, balances: Mapping[str, Decimal]) -> None:
        with self._connection:
            self._put_balances(balances)

    def nonces(self) -> dict[str, int]:
        """The highest nonce each key has used."""
        return dict(self._connection.execute("select key, value from nonce"))

    def save_nonce(self, key: str, value: int) -> None:
        with self._connection as transaction:
            transaction.execute("insert or replace into nonce values (?, ?)", (key, value))

    def remember(self, name: str, value: str) -> str:
        """The value first stored under this name: this one, unless there was one before."""
        with self._connection as transaction:
            transaction.execute("insert or ignore into fact values (?, ?)", (name, value))
            (stored,) = transaction.execute("select value from fact where name = ?", (name,)).fetchone()
        return str(stored)

    def _put_positions(self, positions: Iterable[Position]) -> None:
        rows = [(position.symbol, position.model_dump_json()) for position in positions]
        self._connection.executemany("insert or replace into position values (?, ?)", rows)

    def _put_balances(self, balances: Mapping[str, Decimal]) -> None:
        rows = [(asset, str(amount)) for asset, amount in balances.items()]
        self._connection.executemany("insert or replace into balance values (?, ?)", rows)
