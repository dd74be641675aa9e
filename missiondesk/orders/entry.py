"""What our own fills add up to: the open holding, its volume-weighted entry price, and what was realised."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Protocol

from missiondesk.orders.notional import gain
from models.market import Instrument, Side

_ZERO = Decimal(0)


class Filled(Protocol):
    """What of an order makes a holding."""

    @property
    def side(self) -> Side: ...
    @property
    def filled(self) -> Decimal: ...
    @property
    def average(self) -> Decimal | None: ...
    @property
    def price(self) -> Decimal | None: ...


@dataclass(frozen=True)
class Holding:
    """A signed amount (negative = short) and the volume-weighted price it was entered at (0 when flat).

    `realised` is what reducing it has earned so far, in quote units, before fees.
    """

    amount: Decimal = _ZERO
    entry_price: Decimal = _ZERO
    realised: Decimal = _ZERO


NOTHING_HELD: Final = Holding()


def holding_after(fills: Iterable[Filled], instrument: Instrument, before: Holding = NOTHING_HELD) -> Holding:
    """The holding that orders on one market left, in the order they were sent; unfilled ones change nothing.

    Reducing leaves the entry price as it is, crossing zero starts a new one. A spot holding can't be short:
    coins sold beyond what these orders bought came from elsewhere. `before`: what was held before them.
    """
    holding = before
    for order in fills:
        if order.filled > 0:
            holding = _add(holding, order, instrument)
    return holding


def fill_price(order: Filled) -> Decimal:
    """The mean price of what is filled; a venue that tells none is taken at the limit price."""
    return order.average or order.price or _ZERO


def _add(holding: Holding, order: Filled, instrument: Instrument) -> Holding:
    signed = order.filled if order.side == "buy" else -order.filled
    price = fill_price(order)
    if holding.amount * signed >= 0:
        return _grown(holding, signed, price, instrument)
    closed = min(abs(signed), abs(holding.amount))
    realised = holding.realised
    if holding.entry_price > 0:
        closed_side = closed if holding.amount > 0 else -closed
        realised += gain(instrument, closed_side, holding.entry_price, price)
    amount = holding.amount + signed
    if abs(signed) < abs(holding.amount):
        return Holding(amount, holding.entry_price, realised)
    return _grown(Holding(realised=realised), amount, price, instrument)


def _grown(holding: Holding, signed: Decimal, price: Decimal, instrument: Instrument) -> Holding:
    if signed == 0 or (signed < 0 and not instrument.is_contract):
        return holding
    amount = holding.amount + signed
    if holding.amount == 0:
        entry = price
    elif instrument.inverse:
        entry = amount / (holding.amount / holding.entry_price + signed / price)
    else:
        entry = (holding.amount * holding.entry_price + signed * price) / amount
    return Holding(amount, entry, holding.realised)
