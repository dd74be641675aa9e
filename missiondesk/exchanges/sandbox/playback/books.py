"""An order book as its frames leave it."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Final, Literal

BookSide = Literal["bid", "ask"]
SIDES: Final[Sequence[tuple[str, BookSide]]] = (("bids", "bid"), ("asks", "ask"))
"""Both sides, by the name they have in every venue's JSON."""

LevelPair = tuple[float, float]
BestPair = tuple[LevelPair | None, LevelPair | None]


class Book:
    """Levels by the key that the venue knows them by: a price, or an id whose price is told once."""

    def __init__(self) -> None:
        self._sides: dict[BookSide, dict[Hashable, LevelPair]] = {"bid": {}, "ask": {}}

    def clear(self) -> None:
        for levels in self._sides.values():
            levels.clear()

    def put(self, side: BookSide, key: Hashable, price: float | None, amount: float) -> None:
        """price None: as it was. An amount of 0 removes the level."""
        if amount == 0:
            self.remove(side, key)
            return
        known = self._sides[side].get(key)
        if price is None:
            if known is None:
                return
            price = known[0]
        self._sides[side][key] = (float(price), float(amount))

    def remove(self, side: BookSide, key: Hashable) -> None:
        self._sides[side].pop(key, None)

    def levels(self, side: BookSide) -> Sequence[LevelPair]:
        """(price, amount), the best first."""
        return sorted(self._sides[side].values(), reverse=side == "bid")

    def best(self) -> BestPair:
        """The best bid and ask; None for a side that is empty."""
        bids, asks = self._sides["bid"].values(), self._sides["ask"].values()
        return max(bids, default=None), min(asks, default=None)
