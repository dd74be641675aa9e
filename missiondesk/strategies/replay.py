"""A strategy over recorded quotes: each heard at its own time, orders filled at the prices recorded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from missiondesk.feeds.board import Board, Place
from missiondesk.orders.strategy import Wanted
from missiondesk.strategies.report import Report, Strategy
from models.market import Instrument, OrderBook
from models.order import Order, OrderStatus, StrategyKey, client_order_id
from models.quote import Quote

_NOWHERE = UUID(int=0)
"""Replays have ids of their own: the same at every desk, and none that an order at a venue could have."""


def replayed_instrument(place: Place, fee: Decimal) -> Instrument:
    """A market as a recording knows it: by its name alone, so that any amount of base can be traded."""
    base, _, rest = place.symbol.partition("/")
    least = Decimal("0.00000001")
    return Instrument(
        exchange=place.exchange,
        symbol=place.symbol,
        base=base,
        quote=rest.partition(":")[0],
        lot=least,
        tick=least,
        min_amount=least,
        min_cost=Decimal(0),
        maker=fee,
        taker=fee,
    )


class ReplayTrader:
    """Fills market orders at once, wholly, at the best price, and limit orders when a later best price of the
    other side goes through theirs. `fees` are fractions of the notional.
    """

    def __init__(self, board: Board, fees: dict[Place, Decimal]) -> None:
        self._board, self._fees = board, fees
        self._orders: dict[str, Order] = {}
        self._now = datetime.min.replace(tzinfo=UTC)

    def hear(self, quote: Quote) -> None:
        """The next quote, which is on the board by then."""
        self._now = quote.received_at
        for order in self._orders.values():
            if order.status is OrderStatus.OPEN and (order.exchange, order.symbol) == (
                quote.exchange,
                quote.symbol,
            ):
                self._pass(order, quote)

    def place(self, wanted: Wanted) -> Order:
        """Raises DataStale when there is no price to trade at."""
        best = self._board.best(
            Place(wanted.exchange, wanted.symbol), "ask" if wanted.side == "buy" else "bid", self._now
        )
        key = StrategyKey(0, len(self._orders) + 1, wanted.exchange, wanted.symbol)
        order = Order(
            client_order_id=client_order_id(_NOWHERE, key, 0),
            sequence=key.sequence,
            account=wanted.account,
            exchange=wanted.exchange,
            symbol=wanted.symbol,
            side=wanted.side,
            type="market" if wanted.price is None else "limit",
            amount=wanted.amount,
            price=wanted.price,
            mode="paper",
            reduce_only=wanted.reduce_only,
            status=OrderStatus.OPEN,
            created_at=self._now,
            updated_at=self._now,
        )
        self._orders[order.client_order_id] = order
        return order if wanted.price is not None else self._fill(order, best.price)

    def follow(self, order: Order) -> Order:
        return self._orders[order.client_order_id]

    def cancel(self, order: Order, reason: str) -> Order:
        known = self._orders[order.client_order_id]
        if known.status.is_final:
            return known
        return self._become(known, status=OrderStatus.CANCELLED, reason=reason)

    def order_book(self, place: Place) -> OrderBook | None:
        """None: what stands behind the best prices is not recorded."""
        return None

    def problem(self, place: Place) -> str | None:
        """None: nothing takes any time here."""
        return None

    def _pass(self, order: Order, quote: Quote) -> None:
        assert order.price is not None, "market orders fill at once"
        if order.side == "buy":
            through = quote.ask is not None and 0 < quote.ask < order.price
        else:
            through = quote.bid is not None and quote.bid > order.price
        if through:
            self._fill(order, order.price)

    def _fill(self, order: Order, price: Decimal) -> Order:
        cost = order.amount * price
        fee = cost * self._fees[Place(order.exchange, order.symbol)]
        return self._become(
            order, status=OrderStatus.FILLED, filled=order.amount, average=price, cost=cost, fee=fee
        )

    def _become(self, order: Order, **news: object) -> Order:
        after = order.model_copy(update={**news, "updated_at": self._now})
        self._orders[order.client_order_id] = after
        return after


def replayed(
    quotes: Iterable[Quote], strategy: Strategy, board: Board, trader: ReplayTrader
) -> Iterator[Report]:
    """What the strategy says; no clock is read."""
    for quote in quotes:
        board.put(quote)
        trader.hear(quote)
        yield from strategy.on_quote(board, quote, quote.received_at)
