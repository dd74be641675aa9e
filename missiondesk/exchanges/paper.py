"""Trading with play money on live prices: what a venue would do with our orders, were they sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Engine

from missiondesk.exchanges import paper_books as books
from missiondesk.exchanges.contracts import contract_of
from missiondesk.exchanges.order_checks import order_problem
from missiondesk.exchanges.paper_books import PaperOrder
from missiondesk.exchanges.paper_fills import resting_fill
from missiondesk.exchanges.paper_movements import Stake
from missiondesk.exchanges.paper_passages import passages_since
from missiondesk.exchanges.paper_wallet import Wallet, locked_wallet, own_order
from missiondesk.exchanges.port import MarketData
from missiondesk.settings import PAPER_PARTICIPATION
from models.account import Account
from models.errors import ExchangeUnreachable, OrderRejected, UnknownName
from models.market import Instrument, Level, Side
from models.order import ExchangeOrder, OrderType, Position

_ZERO: Final = Decimal(0)
_ONE: Final = Decimal(1)
_DEPTH: Final = 500
_LEVERAGE_STEP: Final = Decimal("0.01")


class PaperExchange:
    """The trading side of the port, for one account, on the prices of `market`.

    All Missions of the account share its wallet, which `account.paper_balances` fills at the first use, and
    its positions: one in each contract market, net of all orders. Every order is one transaction: it is
    recorded with all it moves, or not at all, and placing a client order id again gives the first order back.
    Market orders walk the book at once and pay the taker fee; what the book does not hold is cancelled. Limit
    orders never fill at once: they rest with their funds or margin set aside, and fill at their price, with
    the maker fee, when something trades through it after they were placed, at most `participation` of that
    minute's volume. Fills are looked at when an order, the positions or the balances are asked for.

    What is opened in contracts needs margin: its worth divided by the order's leverage (1 when it says none).
    An order that only reduces needs none and never turns a position. Positions are neither funded nor
    liquidated, but no loss takes more than the wallet has.
    """

    def __init__(
        self,
        database: Engine,
        account: Account,
        market: MarketData,
        clock: Callable[[], datetime],
        participation: Decimal = PAPER_PARTICIPATION,
    ) -> None:
        self._database = database
        self._account = account
        self._market = market
        self._clock = clock
        self._participation = participation

    def balances(self) -> dict[str, tuple[Decimal, Decimal]]:
        self._settle_all()
        with self._wallet() as wallet:
            return wallet.free()

    def positions(self) -> Sequence[Position]:
        """See the port; what is unrealised is in the settlement currency, at the last price."""
        self._settle_all()
        with self._database.connect() as connection:
            stakes = books.stakes(connection, self._account.name, self._market.name)
        listed = self._market.instruments()
        return [self._shown(symbol, stake, listed.get(symbol)) for symbol, stake in stakes.items()]

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
        """See the port. Raises OrderRejected as a venue would."""
        earlier = self._known(client_order_id)
        if earlier is not None:
            return earlier.as_reported()
        instrument = self._instrument(symbol)
        problem = order_problem(instrument, type, amount, price, leverage)
        if problem is None and self._clock() > deadline:
            problem = (
                f"expected before {deadline:%Y-%m-%d %H:%M:%S} UTC, got there at {self._clock():%H:%M:%S}"
            )
        if problem is not None:
            raise self._refused(problem)
        draft = self._draft(client_order_id, instrument, side, type, amount, price)
        draft |= {"reduce_only": reduce_only and instrument.is_contract, "leverage": leverage or _ONE}
        levels = self._levels(symbol, side) if price is None else ()
        worst = price or next((level.price for level in levels), None)
        if worst is not None:
            self._check_cost(instrument, amount, worst)
        with self._wallet() as wallet:
            taken = wallet.order(client_order_id)
            if taken is None and price is None:
                taken = wallet.take(draft, instrument, levels)
            return (taken or wallet.rest(draft, instrument)).as_reported()

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
        with self._wallet() as wallet:
            current = wallet.order(settled.client_order_id) or settled
            if current.status == "open":
                current = wallet.update(current, status="cancelled", held=_ZERO, updated_at=self._clock())
        return current.as_reported()

    def _settle_all(self) -> None:
        with self._database.connect() as connection:
            resting = books.open_orders(connection, self._account.name, self._market.name)
        for order in resting:
            self._settle(order)

    def _settle(self, order: PaperOrder) -> PaperOrder:
        """Fill a resting order as far as the market went through its price since it was last looked at.

        One in a market that is no longer listed stays as it is.
        """
        instrument = self._market.instruments().get(order.symbol)
        if order.status != "open" or instrument is None:
            return order
        passages = passages_since(self._market, instrument, order.seen_until, self._clock())
        if not passages:
            return order
        with self._wallet() as wallet:
            current = wallet.order(order.client_order_id) or order
            if current.status != "open" or current.seen_until != order.seen_until:
                return current
            most = wallet.most(current)
            amount = resting_fill(
                current.side, current.limit, most, instrument.lot, passages, self._participation
            )
            seen = {"seen_until": passages[-1].until, "updated_at": self._clock()}
            return wallet.fill(current, instrument, amount, **seen)

    def _draft(
        self,
        client_order_id: str,
        instrument: Instrument,
        side: Side,
        type: OrderType,
        amount: Decimal,
        price: Decimal | None,
    ) -> dict[str, Any]:
        now = self._clock()
        return {
            "client_order_id": client_order_id,
            "account": self._account.name,
            "exchange": self._market.name,
            "symbol": instrument.symbol,
            "side": side,
            "type": type,
            "amount": amount,
            "price": price,
            "status": "open",
            "fee_rate": instrument.taker if price is None else instrument.maker,
            "seen_until": now,
            "created_at": now,
            "updated_at": now,
        }

    def _levels(self, symbol: str, side: Side) -> tuple[Level, ...]:
        book = self._market.order_book(symbol, _DEPTH)
        return book.asks if side == "buy" else book.bids

    def _shown(self, symbol: str, stake: Stake, instrument: Instrument | None) -> Position:
        position = stake.position
        if instrument is None:
            return Position(symbol, position.amount, position.entry_price)
        contract = contract_of(instrument)
        last = self._market.ticker(symbol).last
        worth = contract.worth(abs(position.amount), position.entry_price)
        return Position(
            symbol=symbol,
            amount=position.amount,
            entry_price=position.entry_price,
            unrealised=contract.gain(position.amount, position.entry_price, last),
            leverage=(worth / stake.margin).quantize(_LEVERAGE_STEP),
        )

    def _wallet(self) -> AbstractContextManager[Wallet]:
        return locked_wallet(self._database, self._account, self._market.name)

    def _known(self, client_order_id: str) -> PaperOrder | None:
        with self._database.connect() as connection:
            return own_order(connection, self._account.name, client_order_id)

    def _instrument(self, symbol: str) -> Instrument:
        instruments = self._market.instruments()
        if symbol not in instruments:
            raise UnknownName(f"symbol of {self._market.name}", symbol, instruments)
        return instruments[symbol]

    def _check_cost(self, instrument: Instrument, amount: Decimal, price: Decimal) -> None:
        worth = contract_of(instrument).face(amount, price)
        if worth < instrument.min_cost:
            raise self._refused(
                f"expected a worth of at least {instrument.min_cost:f} {instrument.quote}, got {worth:f}"
            )

    def _refused(self, problem: str) -> OrderRejected:
        return OrderRejected(f"paper {self._market.name} refused an order: {problem}")
