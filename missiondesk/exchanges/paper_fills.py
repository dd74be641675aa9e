"""How the paper venue fills orders: market orders from the book, resting ones by what traded later."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_FLOOR, Decimal

from missiondesk.exchanges.paper_passages import Passage
from models.market import Level, Side

_ZERO = Decimal(0)


def sweep(levels: Iterable[Level], amount: Decimal) -> tuple[Level, ...]:
    """What an order for `amount` takes, from the best level on; less when the levels hold less."""
    taken: list[Level] = []
    for level in levels:
        if not amount:
            break
        part = min(level.amount, amount)
        taken.append(Level(level.price, part))
        amount -= part
    return tuple(taken)


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
