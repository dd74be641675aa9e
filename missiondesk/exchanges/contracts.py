"""What contracts are worth and what positions in them earn, in the currency they are settled in. Pure.

An inverse contract stands for a fixed sum of the quote currency and is settled in the base currency; a linear
one stands for an amount of the base currency and is settled in the quote currency.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from models.market import Instrument, Side

SMALLEST: Final = Decimal("1e-12")
"""Money and prices that come out of a division are rounded to it."""

_ZERO: Final = Decimal(0)


@dataclass(frozen=True)
class Contract:
    """`size` of one: base units (linear) or quote units (inverse)."""

    size: Decimal
    inverse: bool

    def worth(self, amount: Decimal, price: Decimal) -> Decimal:
        """Settlement units that `amount` contracts stand for at `price`."""
        return amount * self.size / price if self.inverse else amount * self.size * price

    def face(self, amount: Decimal, price: Decimal) -> Decimal:
        """Quote units that they stand for."""
        return amount * self.size if self.inverse else amount * self.size * price

    def mean_price(self, amount: Decimal, worth: Decimal) -> Decimal:
        """At which price `amount` contracts are worth that many settlement units, to 12 decimals."""
        price = amount * self.size / worth if self.inverse else worth / (amount * self.size)
        return price.quantize(SMALLEST)

    def gain(self, amount: Decimal, entry: Decimal, price: Decimal) -> Decimal:
        """Settlement units earned by signed contracts (negative = short) from `entry` to `price`."""
        rise = self.worth(amount, price) - self.worth(amount, entry)
        return -rise if self.inverse else rise


def contract_of(instrument: Instrument) -> Contract:
    """Of a contract market."""
    return Contract(instrument.contract_size, instrument.inverse)


@dataclass(frozen=True)
class NetPosition:
    """The one position an account has in a market: signed contracts, and their mean entry price (0: flat)."""

    amount: Decimal = _ZERO
    entry_price: Decimal = _ZERO

    def reducible(self, side: Side) -> Decimal:
        """How many contracts an order on this side closes before it would open any."""
        return max(self.amount if side == "sell" else -self.amount, _ZERO)

    def traded(
        self, contract: Contract, side: Side, amount: Decimal, price: Decimal
    ) -> tuple[NetPosition, Decimal]:
        """The position after a trade, and what the trade realised in settlement units, before fees.

        Closing leaves the entry price as it is; what goes beyond zero opens the other side at `price`.
        """
        closed = min(amount, self.reducible(side))
        opened = amount - closed
        realised, left = _ZERO, self.amount
        if closed:
            part = closed if self.amount > 0 else -closed
            realised, left = contract.gain(part, self.entry_price, price), left - part
        if not opened:
            return NetPosition(left, self.entry_price if left else _ZERO), realised
        grown = left + (opened if side == "buy" else -opened)
        if not left:
            return NetPosition(grown, price), realised
        worth = contract.worth(abs(left), self.entry_price) + contract.worth(opened, price)
        return NetPosition(grown, contract.mean_price(abs(grown), worth)), realised
