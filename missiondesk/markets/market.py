"""A market as people use it from Python: prices, orders, and the same awaited."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from functools import wraps
from threading import Lock
from typing import Any, Concatenate, Final, ParamSpec, TypeVar, get_args

from missiondesk.markets.listed import Listed
from missiondesk.markets.run import MarketRun, is_answered
from missiondesk.orders.progress import describe
from missiondesk.orders.strategy import Wanted
from models.account import Mode
from models.errors import DataStale, ExchangeUnreachable, InputRefused, OrderDenied, OrderRejected
from models.market import Instrument, OrderBook, Side, Ticker
from models.order import AmountUnit, Order, OrderStatus

Number = Decimal | int | float | str

Given = ParamSpec("Given")
Value = TypeVar("Value")

FILL_SECONDS: Final = 5.0
"""How long an order is followed that should fill at once, or whose answer was lost."""

DELETE_SECONDS: Final = 10.0

_FIRST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 1.0


class Market:
    """One market, and the account that trades in it; on paper unless the account is armed.

    Amounts are base units, or contracts on a contract market, unless `unit` says otherwise; prices are quote
    units. Without a price an order is at market. Every order passes the limits and the kill switch; each
    method that sends one returns it as it stands: a market order is followed for a few seconds, one at a
    price may rest. One whose status is `unknown` may have been taken; nothing else is sent before that is
    clear. May be used by several threads; all markets of one exchange take turns.

    Raises OrderDenied when we refuse an order, OrderRejected when the venue does, InputRefused for what makes
    no sense, ExchangeUnreachable or DataStale when nothing was sent. After any other error the next order
    first settles what may have been sent.
    """

    def __init__(self, listed: Listed, run: MarketRun, turn: Lock) -> None:
        self._listed, self._run, self._turn = listed, run, turn

    @property
    def name(self) -> str:
        """As it was called."""
        return self._listed.named.name

    @property
    def instrument(self) -> Instrument:
        """With its lot, tick, minimum and contract size."""
        return self._listed.instrument

    @property
    def account(self) -> str:
        return self._run.account

    @property
    def mode(self) -> Mode:
        return self._run.mode

    @property
    def asynchronous(self) -> AsyncMarket:
        """The same market, awaited."""
        return AsyncMarket(self)

    def __repr__(self) -> str:
        return f"<Market {self.name}, {self.mode} as {self.account}>"

    def get_ticker(self) -> Ticker:
        """The best bid and ask with their amounts. Raises DataStale when a side is empty."""
        with self._turn:
            ticker = self._listed.exchange.ticker(self.instrument.symbol)
            if ticker.bid_amount is not None and ticker.ask_amount is not None:
                return ticker
            # Some venues' tickers tell prices only.
            book = self._listed.exchange.order_book(self.instrument.symbol)
        if not book.bids or not book.asks:
            raise DataStale(f"{self.name} has no bid or no ask now")
        bid, ask = book.bids[0], book.asks[0]
        return replace(
            ticker, bid=bid.price, bid_amount=bid.amount, ask=ask.price, ask_amount=ask.amount, at=book.at
        )

    def get_depth(self, depth: int = 50) -> OrderBook:
        """Bids from the highest price down, asks from the lowest up."""
        with self._turn:
            return self._listed.exchange.order_book(self.instrument.symbol, depth)

    def long(
        self,
        amount: Number,
        price: Number | None = None,
        *,
        leverage: Number | None = None,
        unit: AmountUnit | None = None,
    ) -> Order:
        """Open or enlarge a long position; on a spot market, buy. A percentage is of what is free."""
        return self._send("buy", amount, price, leverage=leverage, unit=unit)

    def short(
        self,
        amount: Number,
        price: Number | None = None,
        *,
        leverage: Number | None = None,
        unit: AmountUnit | None = None,
    ) -> Order:
        """Open or enlarge a short position. Denied on a spot market."""
        self._need_contracts("short")
        return self._send("sell", amount, price, leverage=leverage, unit=unit)

    def close_long(
        self, amount: Number | None = None, price: Number | None = None, *, unit: AmountUnit | None = None
    ) -> Order:
        """Sell of a long position: all of it, or at most `amount`.

        In contracts that is the account's position, whoever opened it; coins are those bought by markets.
        """
        return self._close("sell", amount, price, unit)

    def close_short(
        self, amount: Number | None = None, price: Number | None = None, *, unit: AmountUnit | None = None
    ) -> Order:
        """Buy back of the account's short position: all, or at most `amount`. Denied on a spot market."""
        self._need_contracts("close_short")
        return self._close("buy", amount, price, unit)

    def trade(
        self, side: Side, amount: Number, price: Number | None = None, *, unit: AmountUnit | None = None
    ) -> Order:
        """Buy or sell, whatever is held."""
        return self._send(side, amount, price, unit=unit)

    def get_order(self, order: Order | str, *, wait: float = 0.0) -> Order:
        """As the venue shows it now, or as soon as it is final, after `wait` seconds at the latest.

        `order` may be its client order id. Where the venue does not answer, `reason` says so.
        """
        return self._until(_is_final, self._known(order), wait, self._run.follow)

    def delete_order(self, order: Order | str, *, wait: float = DELETE_SECONDS) -> Order:
        """Cancel it and return what it has become; one that is filled or gone already is not an error.

        Raises ExchangeUnreachable when it is not final after `wait` seconds; it may be deleted again.
        """
        known = self._until(_is_final, self._known(order), wait, self._run.cancel)
        if not known.status.is_final:
            because = f": {known.reason}" if known.reason else ""
            raise ExchangeUnreachable(
                f"{describe(known)} (client id {known.client_order_id}) could not be cancelled within "
                f"{wait:g} s, it is {known.status}{because}"
            )
        return known

    def leave(self) -> None:
        """Let another process trade here as this account. The next order takes the market up again."""
        with self._turn:
            self._run.leave()

    def _close(
        self, side: Side, amount: Number | None, price: Number | None, unit: AmountUnit | None
    ) -> Order:
        if amount is None:
            return self._send(side, 100, price, unit="percent", reduce_only=True)
        return self._send(side, amount, price, unit=unit, reduce_only=True)

    def _send(
        self,
        side: Side,
        amount: Number,
        price: Number | None,
        *,
        leverage: Number | None = None,
        unit: AmountUnit | None = None,
        reduce_only: bool = False,
    ) -> Order:
        if leverage is not None:
            self._need_contracts("leverage")
        instrument = self.instrument
        wanted = Wanted(
            self.account,
            instrument.exchange,
            instrument.symbol,
            _one_of(get_args(Side), "side", side),
            _decimal("amount", amount),
            unit=_one_of(get_args(AmountUnit), "unit", unit) if unit else self._usual_unit,
            price=None if price is None else _decimal("price", price),
            reduce_only=reduce_only,
            whole_position=reduce_only,
            leverage=None if leverage is None else _decimal("leverage", leverage),
        )
        with self._turn:
            order = self._run.place(wanted)
        order = self._until(
            _is_final if price is None else is_answered, order, FILL_SECONDS, self._run.follow
        )
        if order.status is OrderStatus.DENIED:
            raise OrderDenied(order.reason)
        if order.status is OrderStatus.REJECTED:
            raise OrderRejected(f"{order.exchange} refused {describe(order)}: {order.reason}")
        return order

    @property
    def _usual_unit(self) -> AmountUnit:
        return "contracts" if self.instrument.is_contract else "base"

    def _need_contracts(self, what: str) -> None:
        if not self.instrument.is_contract:
            raise OrderDenied(
                f"{self.name} is a spot market: {what} needs a contract market; "
                "what is owned is sold with trade('sell', amount) or close_long"
            )

    def _known(self, order: Order | str) -> Order:
        with self._turn:
            return self._run.known(order)

    def _until(
        self, enough: Callable[[Order], bool], order: Order, seconds: float, step: Callable[[Order], Order]
    ) -> Order:
        """The order after as many steps as it takes, or as fit into so many seconds; others have turns."""
        give_up_at, pause = time.monotonic() + seconds, _FIRST_PAUSE_SECONDS
        while not enough(order):
            with self._turn:
                order = step(order)
            if enough(order) or time.monotonic() + pause > give_up_at:
                break
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
        return order


def _awaited(
    method: Callable[Concatenate[Market, Given], Value],
) -> Callable[Concatenate[AsyncMarket, Given], Coroutine[Any, Any, Value]]:
    @wraps(method)
    async def call(self: AsyncMarket, /, *args: Given.args, **kwargs: Given.kwargs) -> Value:
        return await asyncio.to_thread(method, self.market, *args, **kwargs)

    return call


class AsyncMarket:
    """A Market whose methods are awaited; see there. Who stops waiting does not stop what was begun."""

    def __init__(self, market: Market) -> None:
        self.market = market

    def __repr__(self) -> str:
        return f"<AsyncMarket of {self.market!r}>"

    get_ticker = _awaited(Market.get_ticker)
    get_depth = _awaited(Market.get_depth)
    long = _awaited(Market.long)
    short = _awaited(Market.short)
    close_long = _awaited(Market.close_long)
    close_short = _awaited(Market.close_short)
    trade = _awaited(Market.trade)
    get_order = _awaited(Market.get_order)
    delete_order = _awaited(Market.delete_order)
    leave = _awaited(Market.leave)


def _is_final(order: Order) -> bool:
    return order.status.is_final


def _decimal(what: str, number: Number) -> Decimal:
    try:
        value = Decimal(str(number))
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite():
        raise InputRefused(f"expected a number as {what}, got {number!r}")
    return value


def _one_of(allowed: tuple[Value, ...], what: str, given: Value) -> Value:
    if given not in allowed:
        raise InputRefused(f"expected {what} to be one of {', '.join(map(str, allowed))}, got {given!r}")
    return given
