"""One paper account under its lock: what is free, and the orders that move it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, Engine

from missiondesk.exchanges import paper_books as books
from missiondesk.exchanges.paper_books import PaperOrder
from missiondesk.exchanges.paper_fills import sweep
from missiondesk.exchanges.paper_movements import (
    Fills,
    Movement,
    Stake,
    contract_movement,
    set_aside,
    spot_movement,
)
from missiondesk.store.database import transaction
from models.account import Account
from models.errors import OrderRejected
from models.market import Instrument, Level

_ZERO: Final = Decimal(0)
_NOTHING: Final = books.Holding(_ZERO, _ZERO)


class Wallet:
    """What one transaction does; nobody else moves money of the account until it ends."""

    def __init__(self, connection: Connection, account: str, exchange: str) -> None:
        self._connection, self._account, self._exchange = connection, account, exchange

    def order(self, client_order_id: str) -> PaperOrder | None:
        """Raises OrderRejected for an id of another account."""
        return own_order(self._connection, self._account, client_order_id)

    def free(self) -> dict[str, tuple[Decimal, Decimal]]:
        """Currency → (free, total). The margin of positions is not free."""
        margins = books.margins(self._connection, self._account)
        held = books.wallet(self._connection, self._account)
        return {
            currency: (holding.free - margins.get(currency, _ZERO), holding.total)
            for currency, holding in held.items()
        }

    def take(self, draft: dict[str, Any], instrument: Instrument, levels: Sequence[Level]) -> PaperOrder:
        """Record a market order and fill it from one side of the book; what that lacks is cancelled.

        Raises OrderRejected when the funds don't suffice, or a reducing order has nothing to reduce.
        """
        order = books.insert_order(self._connection, **draft)
        movement = self._movement(order, instrument, sweep(levels, self._most(order)))
        self._check_funds(*movement.needs)
        status = "closed" if movement.amount == order.amount else "cancelled"
        return self._filled(order, movement, status=status)

    def rest(self, draft: dict[str, Any], instrument: Instrument) -> PaperOrder:
        """Record a limit order and set its funds aside. Raises OrderRejected as `take` does."""
        order = books.insert_order(self._connection, **draft)
        self._most(order)
        held = _held(order, instrument, order.amount)
        self._check_funds(order.pays_in, held)
        return self.update(order, held=held)

    def most(self, order: PaperOrder) -> Decimal:
        """How much of it may fill now: an order that only reduces never turns the position."""
        if not order.reduce_only:
            return order.remaining
        return min(order.remaining, self._stake(order).position.reducible(order.side))

    def fill(self, order: PaperOrder, instrument: Instrument, amount: Decimal, **values: Any) -> PaperOrder:
        """Fill `amount` of a resting order at its price; one that can't fill any further is ended."""
        done = amount == self.most(order)
        left = order.remaining - amount
        parts = (Level(order.limit, amount),) if amount else ()
        status = "closed" if not left else "cancelled" if done else "open"
        held = _ZERO if done else _held(order, instrument, left)
        return self._filled(
            order, self._movement(order, instrument, parts), status=status, held=held, **values
        )

    def update(self, order: PaperOrder, **values: Any) -> PaperOrder:
        """Change columns of its row; `held` moves what is set aside for it along."""
        change = values.get("held", order.held) - order.held
        if change:
            books.move(self._connection, self._account, order.pays_in, held=change)
        return books.update_order(self._connection, order, **values)

    def _most(self, order: PaperOrder) -> Decimal:
        most = self.most(order)
        if not most:
            raise OrderRejected(
                f"paper {self._exchange} refused an order: there is no position in {order.symbol} "
                f"that a {order.side} would reduce"
            )
        return most

    def _movement(self, order: PaperOrder, instrument: Instrument, parts: Sequence[Level]) -> Movement:
        fills = Fills(order.side, parts, order.fee_rate, order.leverage)
        if instrument.is_contract:
            return contract_movement(instrument, self._stake(order), fills)
        return spot_movement(instrument, order.amount, fills)

    def _filled(self, order: PaperOrder, movement: Movement, **values: Any) -> PaperOrder:
        if not movement.amount:
            return self.update(order, **values)
        order = self.update(
            order,
            filled=order.filled + movement.amount,
            average=movement.average,
            cost=order.cost + movement.cost,
            fee=order.fee + movement.fee,
            **values,
        )
        if movement.stake is not None:
            return self._settled(order, movement, movement.stake)
        for currency, change in movement.totals.items():
            books.move(self._connection, self._account, currency, total=change)
        return order

    def _settled(self, order: PaperOrder, movement: Movement, stake: Stake) -> PaperOrder:
        """What a fill of contracts earned or lost, but never more than the wallet has."""
        earned = movement.totals[order.pays_in]
        holding = books.wallet(self._connection, self._account).get(order.pays_in, _NOTHING)
        paid = max(earned, -holding.free)
        books.move(self._connection, self._account, order.pays_in, total=paid)
        books.put_stake(self._connection, order, stake)
        return books.update_order(self._connection, order, settled=order.settled + paid)

    def _stake(self, order: PaperOrder) -> Stake:
        stakes = books.stakes(self._connection, self._account, self._exchange)
        return stakes.get(order.symbol, Stake())

    def _check_funds(self, currency: str, needed: Decimal) -> None:
        free, _ = self.free().get(currency, (_ZERO, _ZERO))
        if needed > max(free, _ZERO):
            raise OrderRejected(
                f"paper {self._exchange} refused an order: insufficient funds, "
                f"it takes {needed:f} {currency} and {free:f} are free"
            )


@contextmanager
def locked_wallet(database: Engine, account: Account, exchange: str) -> Iterator[Wallet]:
    """The account's wallet in a transaction of its own, filled at the first use."""
    with transaction(database) as connection:
        books.lock_wallet(connection, account)
        yield Wallet(connection, account.name, exchange)


def own_order(connection: Connection, account: str, client_order_id: str) -> PaperOrder | None:
    """Raises OrderRejected for an id of another account."""
    order = books.find_order(connection, client_order_id)
    if order is not None and order.account != account:
        raise OrderRejected(
            f"client order id {order.client_order_id} belongs to the paper account {order.account!r}"
        )
    return order


def _held(order: PaperOrder, instrument: Instrument, amount: Decimal) -> Decimal:
    if order.reduce_only:
        return _ZERO
    return set_aside(instrument, order.side, amount, order.limit, order.fee_rate, order.leverage)
