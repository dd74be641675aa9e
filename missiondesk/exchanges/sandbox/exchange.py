"""The exchange itself: accepts, matches, cancels and keeps the books. Knows no wire format."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_UP, Decimal
from uuid import uuid4

from missiondesk.exchanges.sandbox.market import Market, Staging
from missiondesk.exchanges.sandbox.matching import Match, taken, traded_through
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


class Exchange:
    """One account. Times are unix seconds; call `advance` before reading anything."""

    def __init__(self, market: Market, state: State, balances: Mapping[str, Decimal]) -> None:
        self.market = market
        self._state = state
        self._orders = {order.id: order for order in state.orders()}
        self._fills = {fill.id: fill for fill in state.fills()}
        self._open = {order.id: order for order in self._orders.values() if order.status == "open"}
        self._salt = state.remember("salt of ids", uuid4().hex)
        self._balances = state.balances()
        if not self._balances:
            self.set_balances(balances)

    @property
    def orders(self) -> tuple[Order, ...]:
        """Every order ever accepted, oldest first."""
        return tuple(self._orders.values())

    @property
    def fills(self) -> tuple[Fill, ...]:
        """Every execution, oldest first."""
        return tuple(self._fills.values())

    @property
    def balances(self) -> Mapping[str, Decimal]:
        """What the account owns of each asset, held amounts included."""
        return self._balances

    def order(self, order_id: str) -> Order | None:
        return self._orders.get(order_id)

    def fill(self, fill_id: str) -> Fill:
        return self._fills[fill_id]

    def held(self, asset: str) -> Decimal:
        """What open orders keep from being spent."""
        needs = (self._needed(order.request, order.remaining, ()) for order in self._open.values())
        return sum((amount for needed, amount in needs if needed == asset), Decimal(0))

    def set_balances(self, balances: Mapping[str, Decimal]) -> None:
        """Replace what the account owns of these assets."""
        self._balances.update(balances)
        self._state.save_balances(balances)

    def advance(self, now: float) -> None:
        """Let resting orders meet the trades since they were last looked at."""
        for order in list(self._open.values()):
            ticks = self.market.ticks(order.request.symbol, order.matched_until, now)
            self._meet(order, ticks, max(now, order.matched_until))

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
            id=self._new_id("O", len(self._orders)), request=request, opened_at=now, matched_until=now
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
        matches = list(traded_through(order, ticks))
        if matches:
            self._save(*self._filled(seen, matches))
        else:  # not worth a write: looking at the same trades again finds nothing either
            self._orders[order.id] = self._open[order.id] = seen

    def _takes(self, request: OrderRequest, now: float) -> list[Match]:
        """What a request would take from the book at once; raises RequestRefused."""
        pair = self.market.listing.find(request.symbol)
        if pair is None:
            raise RequestRefused(Refusal.UNKNOWN_PAIR)
        if self.market.staging(request.symbol).halted:
            raise RequestRefused(Refusal.HALTED)
        if request.deadline is not None and request.deadline <= now:
            raise RequestRefused(Refusal.DEADLINE_PASSED)
        in_use = (order.request.client_id for order in self._open.values())
        if request.client_id is not None and request.client_id in in_use:
            raise RequestRefused(Refusal.CLIENT_ID_IN_USE)
        _check_sizes(request, pair, request.price or self.market.price(request.symbol, now))
        matches = list(taken(request, self.market.book(request.symbol, now), now))
        asset, amount = self._needed(request, request.amount, matches)
        if amount > self._balances.get(asset, Decimal(0)) - self.held(asset):
            raise RequestRefused(Refusal.INSUFFICIENT_FUNDS)
        return matches

    def _needed(
        self, request: OrderRequest, amount: Decimal, matches: Iterable[Match]
    ) -> tuple[str, Decimal]:
        """What an order may cost at most, fee included: the asset and how much of it."""
        pair = self.market.listing[request.symbol]
        if request.side == "sell":
            return pair.base, amount
        taken_cost = sum((each.price * each.amount for each in matches), Decimal(0))
        cost = taken_cost if request.price is None else amount * request.price
        return pair.quote, cost * (1 + pair.taker)

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

    def _save(self, order: Order, fills: list[Fill]) -> Order:
        """Write order, fills and balances down in one transaction, then know them."""
        changed = self._moved(order, fills)
        self._state.save(order, fills, changed)
        self._balances.update(changed)
        self._fills.update((fill.id, fill) for fill in fills)
        self._orders[order.id] = order
        if order.status == "open":
            self._open[order.id] = order
        else:
            self._open.pop(order.id, None)
        return order

    def _moved(self, order: Order, fills: Iterable[Fill]) -> dict[str, Decimal]:
        """The balances of the pair's two assets after these fills."""
        pair = self.market.listing[order.request.symbol]
        base, quote = (self._balances.get(asset, Decimal(0)) for asset in (pair.base, pair.quote))
        for fill in fills:
            sign = 1 if fill.side == "buy" else -1
            base += sign * fill.amount
            quote -= sign * fill.cost + fill.fee
        return {pair.base: base, pair.quote: quote}

    def _fill(self, order: Order, pair: Pair, match: Match, number: int) -> Fill:
        cost = _rounded(match.price * match.amount, pair.cost_decimals)
        return Fill(
            id=self._new_id("T", number),
            number=number,
            order_id=order.id,
            symbol=pair.symbol,
            side=order.request.side,
            kind=order.request.kind,
            at=match.at,
            price=match.price,
            amount=match.amount,
            cost=cost,
            fee=_rounded(cost * (pair.maker if match.maker else pair.taker), pair.cost_decimals),
            maker=match.maker,
        )

    def _new_id(self, prefix: str, number: int) -> str:
        """Kraken-shaped (OUF4EM-FRGI2-MQMWZD), never given twice, by no other state either."""
        letters = base64.b32encode(hashlib.sha256(f"{self._salt}{prefix}{number}".encode()).digest()).decode()
        return f"{prefix}{letters[:5]}-{letters[5:10]}-{letters[10:16]}"


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


def _rounded(amount: Decimal, decimals: int) -> Decimal:
    return amount.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP)
