"""The order book around a price: deterministic, tight, deeper the further away."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from missiondesk.exchanges.sandbox.noise import key_of, uniform
from models.market import Level

DEEPEST = 500
SPOT_LOT = Decimal("0.001")
_HALF_SPREAD = 0.00005
_MINUTES_A_LEVEL = 0.25


@dataclass(frozen=True)
class Book:
    """Bids from the highest price down, asks from the lowest up."""

    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


def book_around(
    symbol: str,
    price: Decimal,
    decimals: int,
    moment: int,
    volume_per_minute: float,
    levels: int = DEEPEST,
    lot: Decimal = SPOT_LOT,
) -> Book:
    """The book at a tick (`moment` counts ticks); a level holds about a quarter minute's usual volume.

    Amounts come in whole lots.
    """
    centre = int(price.scaleb(decimals))
    step = max(1, int(centre * _HALF_SPREAD))
    nth = np.arange(levels, dtype=np.int64)
    distance = step + nth * step + nth * nth * step // 50
    usual = volume_per_minute * _MINUTES_A_LEVEL

    def side(name: str, sign: int) -> tuple[Level, ...]:
        chance = uniform(key_of(symbol, name), moment * DEEPEST + nth)
        amounts = np.maximum(np.rint(usual * (0.2 + 1.6 * chance) / float(lot)), 1).astype(np.int64)
        prices = centre + sign * distance
        return tuple(
            Level(Decimal(at).scaleb(-decimals), Decimal(amount) * lot)
            for at, amount in zip(prices.tolist(), amounts.tolist(), strict=True)
            if at > 0
        )

    return Book(bids=side("bids", -1), asks=side("asks", 1))
