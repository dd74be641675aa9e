"""The paper venue's wallets and orders in Postgres. Every function is part of its caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Connection, func, select, update
from sqlalchemy.dialects.postgresql import insert

from models.account import Account
from models.market import Side
from models.order import ExchangeOrder, OrderType
from models.tables import paper_balance, paper_order
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
    """One row of `paper_order`, for spot symbols `BASE/QUOTE`."""

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
    seen_until: datetime
    created_at: datetime

    @property
    def base(self) -> str:
        return self.symbol.partition("/")[0]

    @property
    def quote(self) -> str:
        return self.symbol.partition("/")[2]

    @property
    def remaining(self) -> Decimal:
        return self.amount - self.filled

    def holds(self, amount: Decimal) -> tuple[str, Decimal]:
        """The currency and units set aside for `amount` of it while it rests."""
        if self.side == "sell":
            return self.base, amount
        return self.quote, amount * (self.price or _ZERO) * (1 + self.fee_rate)

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


def trade(connection: Connection, order: PaperOrder, amount: Decimal, cost: Decimal, fee: Decimal) -> None:
    """Exchange what a fill of `amount` base units for `cost` and `fee` quote units gives and takes."""
    if order.side == "buy":
        move(connection, order.account, order.quote, total=-(cost + fee))
        move(connection, order.account, order.base, total=amount)
    else:
        move(connection, order.account, order.base, total=-amount)
        move(connection, order.account, order.quote, total=cost - fee)


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
