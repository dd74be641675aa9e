"""Who trades with whom at what price: pure rules over a book and over the ticks that follow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import ROUND_FLOOR, Decimal

import numpy as np

from missiondesk.exchanges.sandbox.depth import Book
from missiondesk.exchanges.sandbox.orders import Order, OrderRequest
from missiondesk.exchanges.sandbox.ticks import Ticks


@dataclass(frozen=True)
class Match:
    """An amount (base or contracts) at a price (quote), at a moment (unix seconds)."""

    price: Decimal
    amount: Decimal
    at: float
    maker: bool


def taken(request: OrderRequest, book: Book, now: float) -> Iterator[Match]:
    """What the order takes from the book at once, level by level, up to its limit price."""
    remaining = request.amount
    for level in book.asks if request.side == "buy" else book.bids:
        beyond = request.price is not None and (
            level.price > request.price if request.side == "buy" else level.price < request.price
        )
        if beyond or remaining == 0:
            return
        amount = min(remaining, level.amount)
        remaining -= amount
        yield Match(level.price, amount, now, maker=False)


def traded_through(order: Order, ticks: Ticks, lot: Decimal) -> Iterator[Match]:
    """What a resting limit order gets: the volume of every trade beyond its price, in lots, at its price."""
    price = order.request.price
    assert price is not None, "only limit orders rest"
    traded = ticks.traded()
    bought = order.request.side == "buy"
    beyond = traded.prices < float(price) if bought else traded.prices > float(price)
    remaining = order.remaining
    for n in np.flatnonzero(beyond).tolist():
        if remaining == 0:
            return
        lots = (Decimal(f"{traded.volumes[n]:.8f}") / lot).to_integral_value(ROUND_FLOOR)
        amount = min(remaining, lots * lot)
        remaining -= amount
        if amount:
            yield Match(price, amount, float(traded.times[n]), maker=True)


def at_most(matches: Iterable[Match], amount: Decimal) -> Iterator[Match]:
    """The first of them, up to this amount."""
    for match in matches:
        if not amount:
            return
        part = min(match.amount, amount)
        amount -= part
        yield replace(match, amount=part)
