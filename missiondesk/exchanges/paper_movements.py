"""What paper orders set aside while they rest, and what their fills change. Pure.

What contracts set aside is rounded up, so that it covers what it is for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, ROUND_UP, Decimal
from typing import Final

from missiondesk.exchanges.contracts import SMALLEST, NetPosition, contract_of
from models.market import Instrument, Level, Side

_ZERO: Final = Decimal(0)
_ONE: Final = Decimal(1)


@dataclass(frozen=True)
class Stake:
    """A position in contracts, and the settlement units that are its margin."""

    position: NetPosition = field(default_factory=NetPosition)
    margin: Decimal = _ZERO


@dataclass(frozen=True)
class Movement:
    """What one or several fills of an order change.

    amount: base units, or contracts. average, cost, fee: quote units. totals: by how much each currency of
    the wallet changes. needs: what has to be free of a currency before. stake: what the position in contracts
    becomes, None on a spot market.
    """

    amount: Decimal
    average: Decimal | None
    cost: Decimal
    fee: Decimal
    totals: Mapping[str, Decimal]
    needs: tuple[str, Decimal]
    stake: Stake | None = None


@dataclass(frozen=True)
class Fills:
    """Of an order on one side. parts: amounts at prices. leverage: of what they open, on contract markets."""

    side: Side
    parts: Sequence[Level]
    fee_rate: Decimal
    leverage: Decimal = _ONE

    @property
    def amount(self) -> Decimal:
        return sum((part.amount for part in self.parts), _ZERO)


def settlement_currency(instrument: Instrument) -> str:
    return instrument.settle or (instrument.base if instrument.inverse else instrument.quote)


def set_aside(
    instrument: Instrument, side: Side, amount: Decimal, price: Decimal, fee_rate: Decimal, leverage: Decimal
) -> Decimal:
    """What an order for `amount` needs while it rests at `price`, as if all of it opened a position."""
    if instrument.is_contract:
        return _rounded_up(contract_of(instrument).worth(amount, price) * (1 / leverage + fee_rate))
    return amount if side == "sell" else amount * price * (1 + fee_rate)


def spot_movement(instrument: Instrument, ordered: Decimal, fills: Fills) -> Movement:
    """Coins against money. A sale needs all that was `ordered`, though the book may hold less."""
    amount = fills.amount
    cost = sum((part.amount * part.price for part in fills.parts), _ZERO)
    fee = cost * fills.fee_rate
    base, quote = instrument.base, instrument.quote
    buys = fills.side == "buy"
    return Movement(
        amount=amount,
        average=cost / amount if amount else None,
        cost=cost,
        fee=fee,
        totals={quote: -(cost + fee), base: amount} if buys else {base: -amount, quote: cost - fee},
        needs=(quote, cost + fee) if buys else (base, ordered),
    )


def contract_movement(instrument: Instrument, stake: Stake, fills: Fills) -> Movement:
    """A position opened, enlarged, reduced or turned; the profit of what is closed is paid at once.

    What is closed frees its share of the margin, what is opened asks for its own at the fills' leverage.
    Fills that only reduce need nothing.
    """
    contract = contract_of(instrument)
    position, margin = stake.position, stake.margin
    worth = face = gained = _ZERO
    opens = False
    for part in fills.parts:
        closed = min(part.amount, position.reducible(fills.side))
        if closed:
            margin = _rounded_up(margin * (1 - closed / abs(position.amount)))
        opened = part.amount - closed
        opens = opens or opened > 0
        margin += _rounded_up(contract.worth(opened, part.price) / fills.leverage)
        position, realised = position.traded(contract, fills.side, part.amount, part.price)
        gained += realised
        worth += contract.worth(part.amount, part.price)
        face += contract.face(part.amount, part.price)
    earned = (gained - worth * fills.fee_rate).quantize(SMALLEST, ROUND_HALF_EVEN)
    settle = settlement_currency(instrument)
    amount = fills.amount
    return Movement(
        amount=amount,
        average=contract.mean_price(amount, worth) if amount else None,
        cost=face,
        fee=face * fills.fee_rate,
        totals={settle: earned},
        needs=(settle, margin - stake.margin - earned if opens else _ZERO),
        stake=Stake(position, margin),
    )


def _rounded_up(money: Decimal) -> Decimal:
    return money.quantize(SMALLEST, ROUND_UP)
