"""How the paper venue fills orders: market orders from the book, resting ones by what traded later."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal

from missiondesk.exchanges.paper_passages import Passage
from models.market import Level, Side

_ZERO = Decimal(0)


@dataclass(frozen=True)
class Sweep:
    """What an order took from a book: base units, and the quote units they cost without the fee."""

    amount: Decimal
    cost: Decimal


def sweep(levels: Iterable[Level], amount: Decimal) -> Sweep:
    """Take `amount` from the best level on; less when the levels hold less."""
    taken = cost = _ZERO
    for level in levels:
        part = min(level.amount, amount - taken)
        taken += part
        cost += part * level.price
        if taken == amount:
            break
    return Sweep(taken, cost)


def resting_fill(
    side: Side,
    price: Decimal,
    remaining: Decimal,
    lot: Decimal,
    passages: Iterable[Passage],
    participation: Decimal,
) -> Decimal:
    """How much of a resting order has filled: at most a share of each passage through its price.

    participation: 0 < share of the volume ≤ 1. The amount is in whole lots, and never more than `remaining`.
    """
    filled = _ZERO
    for passage in passages:
        if passage.goes_through(side, price):
            share = (passage.volume * participation / lot).to_integral_value(ROUND_FLOOR) * lot
            filled = min(remaining, filled + share)
    return filled
