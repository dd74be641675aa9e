"""Where a strategy's orders go: to the order gateway, timed by the circuit breaker, or into a replay."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final, Protocol

from missiondesk.exchanges.port import MarketData
from missiondesk.feeds.board import Place
from missiondesk.orders.strategy import StrategyGateway, Wanted
from missiondesk.strategies.breaker import Call, CircuitBreaker
from models.market import OrderBook
from models.order import Order

_DEPTH: Final = 50


class Trader(Protocol):
    """May raise RetryLater and OrderDenied, after which nothing was sent, LeaseLost and CallOperator."""

    def place(self, wanted: Wanted) -> Order:
        """As it stands once it was sent, or was not."""
        ...

    def follow(self, order: Order) -> Order: ...

    def cancel(self, order: Order, reason: str) -> Order: ...

    def order_book(self, place: Place) -> OrderBook | None:
        """What stands behind the best prices; None where nobody knows."""
        ...

    def problem(self, place: Place) -> str | None:
        """Why nothing may be begun at a market now; None when it may."""
        ...


class DeskTrader:
    """Trades through the order gateway. A market whose venue took too long is left alone for a while."""

    def __init__(
        self,
        gateway: StrategyGateway,
        market: Callable[[str], MarketData],
        clock: Callable[[], datetime],
    ) -> None:
        self._gateway, self._market, self._clock = gateway, market, clock
        self._breaker = CircuitBreaker()

    def place(self, wanted: Wanted) -> Order:
        with self._timed(Place(wanted.exchange, wanted.symbol), Call.ORDER):
            return self._gateway.place(wanted)

    def follow(self, order: Order) -> Order:
        return self._gateway.follow(order)

    def cancel(self, order: Order, reason: str) -> Order:
        with self._timed(Place(order.exchange, order.symbol), Call.CANCEL):
            return self._gateway.cancel(order, reason)

    def order_book(self, place: Place) -> OrderBook | None:
        with self._timed(place, Call.DEPTH):
            return self._market(place.exchange).order_book(place.symbol, _DEPTH)

    def problem(self, place: Place) -> str | None:
        return self._breaker.problem(_name(place), self._clock())

    @contextmanager
    def _timed(self, place: Place, call: Call) -> Iterator[None]:
        began = self._clock()
        try:
            yield
        finally:
            ended = self._clock()
            self._breaker = self._breaker.after(_name(place), call, ended - began, ended)


def _name(place: Place) -> str:
    return f"{place.exchange}:{place.symbol}"
