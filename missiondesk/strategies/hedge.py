"""Index futures against spot: open and close by the premium, hedge what was filled, stop after errors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from enum import Enum, auto
from typing import Final

MOST_TAKER_ERRORS: Final = 5

_ZERO: Final = Decimal(0)


def premium(index: Decimal, spot_bid: Decimal, spot_ask: Decimal) -> Decimal:
    """(index − middle of the spot book) / that middle. Raises ValueError for prices that are not above 0."""
    if min(index, spot_bid, spot_ask) <= 0:
        raise ValueError(f"expected prices above 0, got {index}, {spot_bid} and {spot_ask}")
    middle = (spot_bid + spot_ask) / 2
    return (index - middle) / middle


class Step(Enum):
    """What the premium asks for."""

    OPEN = auto()
    CLOSE = auto()
    STAY = auto()


@dataclass(frozen=True)
class HedgeTriggers:
    """open_at: open at a premium of at least this. close_at: close at one of at most this, which is lower."""

    open_at: Decimal
    close_at: Decimal

    def __post_init__(self) -> None:
        if self.close_at >= self.open_at:
            raise ValueError(f"expected close_at below open_at {self.open_at}, got {self.close_at}")


@dataclass(frozen=True)
class Hedge:
    """maker_filled, hedged: of base; what the maker's side has filled, and what of that is covered.

    taker_errors: in a row.
    """

    maker_filled: Decimal = _ZERO
    hedged: Decimal = _ZERO
    taker_errors: int = 0

    @property
    def stopped(self) -> bool:
        """Whether the taker's side failed so often that a person has to look."""
        return self.taker_errors >= MOST_TAKER_ERRORS

    def step(self, premium: Decimal, triggers: HedgeTriggers) -> Step:
        if self.stopped:
            return Step.STAY
        if self.maker_filled == 0 and premium >= triggers.open_at:
            return Step.OPEN
        if self.maker_filled > 0 and premium <= triggers.close_at:
            return Step.CLOSE
        return Step.STAY

    def to_hedge(self, lot: Decimal) -> Decimal:
        """What the taker's side is to trade now: whole lots of what is filled and not covered; 0 for nothing.

        Negative while closing, when less is filled than is covered.
        """
        if self.stopped:
            return _ZERO
        open_amount = self.maker_filled - self.hedged
        lots = abs(open_amount) // lot
        return (lots * lot).copy_sign(open_amount) if lots else _ZERO

    def maker_has(self, filled: Decimal) -> Hedge:
        """After a fill of the maker's side: what it holds now."""
        return replace(self, maker_filled=filled)

    def taker_traded(self, amount: Decimal) -> Hedge:
        """After the taker's side traded this much (negative: bought back)."""
        return replace(self, hedged=self.hedged + amount, taker_errors=0)

    def taker_failed(self) -> Hedge:
        return replace(self, taker_errors=self.taker_errors + 1)
