"""Trading with play money on live prices: what a venue would do with our orders, were they sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, Engine

from missiondesk.exchanges import paper_books as books
from missiondesk.exchanges.order_checks import order_problem
from missiondesk.exchanges.paper_books import PaperOrder
from missiondesk.exchanges.paper_fills import resting_fill, sweep
from missiondesk.exchanges.paper_passages import passages_since
from missiondesk.exchanges.port import MarketData
from missiondesk.store.database import transaction
from models.account import Account
from models.errors import ExchangeUnreachable, OrderRejected, UnknownName
from models.market import Instrument, Side
from models.order import ExchangeOrder, OrderType, Position

PARTICIPATION: Final = Decimal("0.1")
"""Share of what trades through a resting order's price that may be ours."""

_ZERO: Final = Decimal(0)
_DEPTH: Final = 500


class PaperExchange:
    """The trading side of the port, for one account, on the prices of `market`.

    All Missions of the account share its wallet, which `account.paper_balances` fills at the first use. Every
    order is one transaction: it is recorded with all it moves, or not at all, and placing a client order id
    again gives the first order back. Market orders walk the book at once and pay the taker fee; what the
    book does not hold is cancelled. Limit orders never fill at once: they rest with their funds set aside,
    and fill at their price, with the maker fee, when something trades through it after they were placed, at
    most `participation` of that minute's volume. Fills are looked at when an order or the balances are asked
    for.
    """

    def __init__(
        self,
        database: Engine,
        account: Account,
        market: MarketData,
        clock: Callable[[], datetime],
        participation: Decimal = PARTICIPATION,
    ) -> None:
        self._database = database
        self._account = account
        self._market = market
        self._clock = clock
        self._participation = participation

    def balances(self) -> dict[str, tuple[Decimal, Decimal]]:
        with self._database.connect() as connection:
            resting = books.open_orders(connection, self._account.name, self._market.name)
        for order in resting:
            self._settle(order)
        with self._wallet() as connection:
            held = books.wallet(connection, self._account.name)
        return {currency: (holding.free, holding.total) for currency, holding in held.items()}

    def positions(self) -> Sequence[Position]:
        """None: only spot markets are traded on paper."""
        return []

    def place(
        self,
        *,
        client_order_id: str,
        symbol: str,
        side: Side,
        type: OrderType,
        amount: Decimal,
        price: Decimal | None,
        deadline: datetime,
        reduce_only: bool = False,
        leverage: Decimal | None = None,
    ) -> ExchangeOrder:
        """See the port. Raises OrderRejected as a venue would, and for every order for a contract."""
        earlier = self._known(client_order_id)
        if earlier is not None:
            return earlier.as_reported()
        instrument = self._instrument(symbol)
        problem = order_problem(instrument, type, amount, price, leverage)
        if instrument.is_contract:
            problem = (
                "paper trading of contracts is not there yet: "
                f"expected a spot market such as BTC/USD, got {symbol}"
            )
        if problem is None and self._clock() > deadline:
            problem = (
                f"expected before {deadline:%Y-%m-%d %H:%M:%S} UTC, got there at {self._clock():%H:%M:%S}"
            )
        if problem is not None:
            raise OrderRejected(f"paper {self._market.name} refused an order: {problem}")
        draft = {
            "client_order_id": client_order_id,
            "account": self._account.name,
            "exchange": self._market.name,
            "symbol": symbol,
            "side": side,
            "type": type,
            "amount": amount,
        }
        if price is None:
            return self._take(draft, instrument, side, amount)
        return self._rest(draft, instrument, side, amount, price)

    def find(
        self, client_order_id: str, symbol: str, *, since: datetime, exchange_order_id: str | None = None
    ) -> ExchangeOrder | None:
        order = self._known(client_order_id)
        return None if order is None else self._settle(order).as_reported()

    def cancel(self, order: ExchangeOrder) -> ExchangeOrder:
        known = self._known(order.client_order_id or "")
        if known is None:
            raise ExchangeUnreachable(f"paper {self._market.name} has no order {order.client_order_id!r}")
        settled = self._settle(known)
        if settled.status != "open":
            return settled.as_reported()
        with self._wallet() as connection:
            current = books.find_order(connection, settled.client_order_id) or settled
            if current.status == "open":
                currency, held = current.holds(current.remaining)
                books.move(connection, current.account, currency, held=-held)
                current = books.update_order(
                    connection, current, status="cancelled", updated_at=self._clock()
                )
        return current.as_reported()

    def _take(
        self, draft: dict[str, Any], instrument: Instrument, side: Side, amount: Decimal
    ) -> ExchangeOrder:
        book = self._market.order_book(instrument.symbol, _DEPTH)
        levels = book.asks if side == "buy" else book.bids
        if levels:
            self._check_cost(instrument, amount * levels[0].price)
        fill = sweep(levels, amount)
        fee = fill.cost * instrument.taker
        now = self._clock()
        with self._wallet() as connection:
            earlier = self._own(books.find_order(connection, draft["client_order_id"]))
            if earlier is not None:
                return earlier.as_reported()
            needed = (instrument.quote, fill.cost + fee) if side == "buy" else (instrument.base, amount)
            self._check_funds(connection, *needed)
            order = books.insert_order(
                connection,
                **draft,
                status="closed" if fill.amount == amount else "cancelled",
                filled=fill.amount,
                average=fill.cost / fill.amount if fill.amount else None,
                cost=fill.cost,
                fee=fee,
                fee_rate=instrument.taker,
                seen_until=now,
                created_at=now,
                updated_at=now,
            )
            books.trade(connection, order, fill.amount, fill.cost, fee)
        return order.as_reported()

    def _rest(
        self, draft: dict[str, Any], instrument: Instrument, side: Side, amount: Decimal, price: Decimal
    ) -> ExchangeOrder:
        self._check_cost(instrument, amount * price)
        now = self._clock()
        with self._wallet() as connection:
            earlier = self._own(books.find_order(connection, draft["client_order_id"]))
            if earlier is not None:
                return earlier.as_reported()
            order = books.insert_order(
                connection,
                **draft,
                price=price,
                status="open",
                fee_rate=instrument.maker,
                seen_until=now,
                created_at=now,
                updated_at=now,
            )
            currency, held = order.holds(amount)
            self._check_funds(connection, currency, held)
            books.move(connection, order.account, currency, held=held)
        return order.as_reported()

    def _settle(self, order: PaperOrder) -> PaperOrder:
        """Fill a resting order as far as the market went through its price since it was last looked at."""
        if order.status != "open":
            return order
        instrument = self._instrument(order.symbol)
        passages = passages_since(self._market, order.symbol, order.seen_until, self._clock())
        if not passages:
            return order
        with self._wallet() as connection:
            current = books.find_order(connection, order.client_order_id) or order
            if current.status != "open" or current.seen_until != order.seen_until:
                return current
            price = current.price or _ZERO
            amount = resting_fill(
                current.side, price, current.remaining, instrument.lot, passages, self._participation
            )
            filled = current.filled + amount
            cost = amount * price
            fee = cost * current.fee_rate
            if amount:
                currency, held = current.holds(amount)
                books.move(connection, current.account, currency, held=-held)
                books.trade(connection, current, amount, cost, fee)
            return books.update_order(
                connection,
                current,
                status="closed" if filled == current.amount else "open",
                filled=filled,
                average=price if filled else None,
                cost=current.cost + cost,
                fee=current.fee + fee,
                seen_until=passages[-1].until,
                updated_at=self._clock(),
            )

    @contextmanager
    def _wallet(self) -> Iterator[Connection]:
        with transaction(self._database) as connection:
            books.lock_wallet(connection, self._account)
            yield connection

    def _known(self, client_order_id: str) -> PaperOrder | None:
        with self._database.connect() as connection:
            return self._own(books.find_order(connection, client_order_id))

    def _own(self, order: PaperOrder | None) -> PaperOrder | None:
        if order is not None and order.account != self._account.name:
            raise OrderRejected(
                f"client order id {order.client_order_id} belongs to the paper account {order.account!r}"
            )
        return order

    def _instrument(self, symbol: str) -> Instrument:
        instruments = self._market.instruments()
        if symbol not in instruments:
            raise UnknownName(f"symbol of {self._market.name}", symbol, instruments)
        return instruments[symbol]

    def _check_funds(self, connection: Connection, currency: str, needed: Decimal) -> None:
        holding = books.wallet(connection, self._account.name).get(currency)
        free = _ZERO if holding is None else holding.free
        if needed > free:
            raise OrderRejected(
                f"paper {self._market.name} refused an order: insufficient funds, "
                f"it takes {needed:f} {currency} and {free:f} are free"
            )

    def _check_cost(self, instrument: Instrument, cost: Decimal) -> None:
        if cost < instrument.min_cost:
            raise OrderRejected(
                f"paper {self._market.name} refused an order: expected a worth of at least "
                f"{instrument.min_cost:f} {instrument.quote}, got {cost:f}"
            )
