"""The exchange itself: accepts, matches, cancels and keeps the books. Knows no wire format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from uuid import uuid4

from missiondesk.exchanges.sandbox.books import Books, rounded
from missiondesk.exchanges.sandbox.ids import kraken_id
from missiondesk.exchanges.sandbox.market import Market, Staging
from missiondesk.exchanges.sandbox.matching import Match, at_most, taken, traded_through
from missiondesk.exchanges.sandbox.orders import (
    Fill,
    Order,
    OrderRequest,
    OrderStatus,
    Refusal,
    RequestRefused,
)
from missiondesk.exchanges.sandbox.pairs import Pair
from missiondesk.exchanges.sandbox.state import State
from missiondesk.exchanges.sandbox.ticks import Ticks

FIRST_BALANCES: Mapping[str, Decimal] = {
    "USD": Decimal(100_000),
    "USDT": Decimal(100_000),
    "BTC": Decimal(2),
    "ETH": Decimal(20),
}


class Exchange(Books):
    """One account. Times are unix seconds; call `advance` before reading anything.

    new_id: from a salt that no other state has, the id of the nth order ("O") or fill ("T").
    """

    def __init__(
        self,
        market: Market,
        state: State,
        balances: Mapping[str, Decimal],
        new_id: Callable[[str, str, int], str] = kraken_id,
    ) -> None:
        super().__init__(market, state, balances)
        self._new_id = new_id
        self._salt = state.remember("salt of ids", uuid4().hex)

    def advance(self, now: float) -> None:
        """Let resting orders meet the trades since they were last looked at, and deliver what is due."""
        for order in list(self._open.values()):
            ticks = self.market.ticks(order.request.symbol, order.matched_until, now)
            self._meet(order, ticks, max(now, order.matched_until))
        for position in self.positions:
            pair = self.market.listing[position.symbol]
            if position.amount and not pair.trades_at(now):
                self._deliver(pair, self.market.price(pair.symbol, now))

    def stage(self, symbol: str, staging: Staging, now: float) -> None:
        """Arrange one pair; resting orders meet a new price at once."""
        self.advance(now)
        since = self.market.staging(symbol).price_since
        self.market.stage(symbol, staging)
        if staging.price is not None and staging.price_since != since:
            ticks = self.market.ticks(symbol, now - 1e-3, now)
            for order in [order for order in self._open.values() if order.request.symbol == symbol]:
                self._meet(order, ticks, now)

    def check(self, request: OrderRequest, now: float) -> None:
        """Raise RequestRefused when the request would not be accepted."""
        self._takes(request, now)

    def place(self, request: OrderRequest, now: float) -> Order:
        """Accept an order, fill what it takes at once, let a limit order's rest wait in the book."""
        matches = self._takes(request, now)
        order = Order(
            id=self._new_id(self._salt, "O", len(self._orders)),
            request=request,
            opened_at=now,
            matched_until=now,
        )
        if request.post_only and matches:
            return self._save(_closed(order, "canceled", now, "Post only order"), [])
        order, fills = self._filled(order, matches)
        if order.status == "open" and (request.kind == "market" or request.immediate):
            reason = "Insufficient liquidity" if request.kind == "market" else "Immediate or cancel"
            order = _closed(order, "canceled", now, reason)
        return self._save(order, fills)

    def cancel(self, order_id: str, now: float) -> Order:
        """Raises RequestRefused when no such order is open."""
        if order_id not in self._open:
            raise RequestRefused(Refusal.UNKNOWN_ORDER)
        return self._save(_closed(self._open[order_id], "canceled", now, "User requested"), [])

    def _meet(self, order: Order, ticks: Ticks, until: float) -> None:
        seen = order.model_copy(update={"matched_until": until})
        pair = self.market.listing[order.request.symbol]
        matches = list(traded_through(order, ticks, pair.lot))
        if not pair.trades_at(until):
            self._save(_closed(seen, "canceled", until, "Delivered"), [])
        elif matches:
            most = self._most(order.request)
            met, fills = self._filled(seen, self._cut(order.request, matches))
            if met.status == "open" and met.filled - seen.filled == most:
                met = _closed(met, "canceled", until, "Reduce only")
            self._save(met, fills)
        else:  # not worth a write: looking at the same trades again finds nothing either
            self._orders[order.id] = self._open[order.id] = seen

    def _takes(self, request: OrderRequest, now: float) -> list[Match]:
        """What a request would take from the book at once; raises RequestRefused."""
        pair = self.market.listing.find(request.symbol)
        if pair is None or not pair.trades_at(now):
            raise RequestRefused(Refusal.UNKNOWN_PAIR)
        if self.market.staging(request.symbol).halted:
            raise RequestRefused(Refusal.HALTED)
        if request.deadline is not None and request.deadline <= now:
            raise RequestRefused(Refusal.DEADLINE_PASSED)
        in_use = (order.request.client_id for order in self._open.values())
        if request.client_id is not None and request.client_id in in_use:
            raise RequestRefused(Refusal.CLIENT_ID_IN_USE)
        _check_sizes(request, pair, request.price or self.market.price(request.symbol, now))
        if self._most(request) == 0:
            raise RequestRefused(Refusal.NOTHING_TO_REDUCE)
        matches = self._cut(request, taken(request, self.market.book(request.symbol, now), now))
        asset, amount = self._needed(request, request.amount, matches)
        if amount and amount > self._free(asset):
            raise RequestRefused(Refusal.INSUFFICIENT_FUNDS)
        return matches

    def _most(self, request: OrderRequest) -> Decimal | None:
        """How much it may trade now; None for any amount."""
        if not request.reduce_only:
            return None
        return self.position(request.symbol).net.reducible(request.side)

    def _cut(self, request: OrderRequest, matches: Iterable[Match]) -> list[Match]:
        most = self._most(request)
        return list(matches if most is None else at_most(matches, most))

    def _filled(self, order: Order, matches: Iterable[Match]) -> tuple[Order, list[Fill]]:
        """The order after these matches, and the fills they make."""
        pair = self.market.listing[order.request.symbol]
        fills = [self._fill(order, pair, match, len(self._fills) + n) for n, match in enumerate(matches)]
        order = order.model_copy(
            update={
                "filled": order.filled + sum(fill.amount for fill in fills),
                "cost": order.cost + sum(fill.cost for fill in fills),
                "fee": order.fee + sum(fill.fee for fill in fills),
                "fills": (*order.fills, *(fill.id for fill in fills)),
            }
        )
        if fills and order.remaining == 0:
            order = _closed(order, "closed", fills[-1].at, None)
        return order, fills

    def _fill(self, order: Order, pair: Pair, match: Match, number: int) -> Fill:
        if pair.contract is None:
            cost = rounded(match.price * match.amount, pair.cost_decimals)
        else:
            cost = pair.contract.worth(match.amount, match.price)
        return Fill(
            id=self._new_id(self._salt, "T", number),
            number=number,
            order_id=order.id,
            symbol=pair.symbol,
            side=order.request.side,
            kind=order.request.kind,
            at=match.at,
            price=match.price,
            amount=match.amount,
            cost=cost,
            fee=rounded(cost * (pair.maker if match.maker else pair.taker), pair.cost_decimals),
            maker=match.maker,
        )


def _check_sizes(request: OrderRequest, pair: Pair, price: Decimal) -> None:
    if request.amount % pair.lot != 0:
        raise RequestRefused(Refusal.AMOUNT_TOO_PRECISE)
    if request.price is not None and request.price % pair.tick != 0:
        raise RequestRefused(Refusal.PRICE_TOO_PRECISE)
    if request.amount < pair.order_minimum:
        raise RequestRefused(Refusal.AMOUNT_TOO_SMALL)
    if request.amount * price < pair.cost_minimum:
        raise RequestRefused(Refusal.COST_TOO_SMALL)


def _closed(order: Order, status: OrderStatus, now: float, reason: str | None) -> Order:
    return order.model_copy(update={"status": status, "closed_at": now, "reason": reason})
