"""The paper venue's wallets, positions and orders in Postgres.

Every function is part of its caller's transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Connection, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from missiondesk.exchanges.contracts import NetPosition
from missiondesk.exchanges.paper_movements import Stake
from models.account import Account
from models.market import Side
from models.order import ExchangeOrder, OrderType
from models.tables import paper_balance, paper_order, paper_position
from models.validation import value_from_row

# The first key of the advisory locks that wallets take; the second is the account's name, hashed.
_WALLET_LOCK: Final = 0x7761_6C6C

_ZERO: Final = Decimal(0)


class Holding(NamedTuple):
    """Units of one currency; `held` is what resting orders have set aside of `total`."""

    total: Decimal
    held: Decimal

    @property
    def free(self) -> Decimal:
        return self.total - self.held


class PaperOrder(BaseModel):
    """One row of `paper_order`, for symbols `BASE/QUOTE` and `BASE/QUOTE:SETTLE[-DELIVERY]`.

    held: what is set aside for it. settled: what its fills changed the wallet by, on contract markets.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: int
    client_order_id: str
    account: str
    exchange: str
    symbol: str
    side: Side
    type: OrderType
    amount: Decimal
    price: Decimal | None
    status: str
    filled: Decimal
    average: Decimal | None
    cost: Decimal
    fee: Decimal
    fee_rate: Decimal
    reduce_only: bool
    leverage: Decimal
    held: Decimal
    settled: Decimal
    seen_until: datetime
    created_at: datetime

    @property
    def remaining(self) -> Decimal:
        return self.amount - self.filled

    @property
    def limit(self) -> Decimal:
        """The price of a limit order."""
        assert self.price is not None, "only limit orders rest"
        return self.price

    @property
    def pays_in(self) -> str:
        """The currency of `held`."""
        pair, _, contract = self.symbol.partition(":")
        base, _, quote = pair.partition("/")
        if contract:
            return contract.partition("-")[0]
        return base if self.side == "sell" else quote

    def as_reported(self) -> ExchangeOrder:
        return ExchangeOrder(
            exchange_order_id=f"paper-{self.id}",
            client_order_id=self.client_order_id,
            symbol=self.symbol,
            side=self.side,
            type=self.type,
            amount=self.amount,
            filled=self.filled,
            status="open" if self.status == "open" else "closed" if self.status == "closed" else "cancelled",
            price=self.price,
            average=self.average,
            cost=self.cost,
            fee=self.fee,
            at=self.created_at,
        )


def lock_wallet(connection: Connection, account: Account) -> None:
    """Until the transaction ends nobody else moves money of this account. The first use fills the wallet."""
    connection.execute(select(func.pg_advisory_xact_lock(_WALLET_LOCK, func.hashtext(account.name))))
    mine = paper_balance.c.account == account.name
    if not connection.execute(select(paper_balance.c.currency).where(mine).limit(1)).first():
        for currency, total in account.paper_balances.items():
            connection.execute(
                insert(paper_balance).values(account=account.name, currency=currency, total=total)
            )


def wallet(connection: Connection, account: str) -> dict[str, Holding]:
    """By currency."""
    rows = connection.execute(
        select(paper_balance.c.currency, paper_balance.c.total, paper_balance.c.held).where(
            paper_balance.c.account == account
        )
    )
    return {currency: Holding(total, held) for currency, total, held in rows}


def move(
    connection: Connection, account: str, currency: str, *, total: Decimal = _ZERO, held: Decimal = _ZERO
) -> None:
    """Change a holding by these differences; Postgres refuses one that would not be covered."""
    connection.execute(
        insert(paper_balance).values(account=account, currency=currency, total=0).on_conflict_do_nothing()
    )
    connection.execute(
        update(paper_balance)
        .where(paper_balance.c.account == account, paper_balance.c.currency == currency)
        .values(total=paper_balance.c.total + total, held=paper_balance.c.held + held)
    )


def margins(connection: Connection, account: str) -> dict[str, Decimal]:
    """What the account's positions have set aside, by currency."""
    rows = connection.execute(
        select(paper_position.c.settle, func.sum(paper_position.c.margin))
        .where(paper_position.c.account == account)
        .group_by(paper_position.c.settle)
    )
    return {str(settle): Decimal(margin) for settle, margin in rows}


def stakes(connection: Connection, account: str, exchange: str) -> dict[str, Stake]:
    """The account's positions in contracts, by symbol."""
    rows = connection.execute(
        select(
            paper_position.c.symbol,
            paper_position.c.amount,
            paper_position.c.entry_price,
            paper_position.c.margin,
        )
        .where(paper_position.c.account == account, paper_position.c.exchange == exchange)
        .order_by(paper_position.c.symbol)
    )
    return {symbol: Stake(NetPosition(amount, entry), margin) for symbol, amount, entry, margin in rows}


def put_stake(connection: Connection, order: PaperOrder, stake: Stake) -> None:
    """What the position in the order's market has become; a flat one is not kept."""
    place = {"account": order.account, "exchange": order.exchange, "symbol": order.symbol}
    connection.execute(delete(paper_position).filter_by(**place))
    if stake.position.amount:
        connection.execute(
            insert(paper_position).values(
                **place,
                settle=order.pays_in,
                amount=stake.position.amount,
                entry_price=stake.position.entry_price,
                margin=stake.margin,
            )
        )


def find_order(connection: Connection, client_order_id: str) -> PaperOrder | None:
    row = connection.execute(
        select(paper_order).where(paper_order.c.client_order_id == client_order_id)
    ).first()
    return None if row is None else _order_of(row._mapping)


def open_orders(connection: Connection, account: str, exchange: str) -> list[PaperOrder]:
    rows = connection.execute(
        select(paper_order)
        .where(
            paper_order.c.account == account,
            paper_order.c.exchange == exchange,
            paper_order.c.status == "open",
        )
        .order_by(paper_order.c.id)
    )
    return [_order_of(row._mapping) for row in rows]


def insert_order(connection: Connection, **values: Any) -> PaperOrder:
    row = connection.execute(insert(paper_order).values(**values).returning(paper_order)).one()
    return _order_of(row._mapping)


def update_order(connection: Connection, order: PaperOrder, **values: Any) -> PaperOrder:
    row = connection.execute(
        update(paper_order).where(paper_order.c.id == order.id).values(**values).returning(paper_order)
    ).one()
    return _order_of(row._mapping)


def _order_of(row: Mapping[Any, Any]) -> PaperOrder:
    return value_from_row(PaperOrder, "paper_order", row)
