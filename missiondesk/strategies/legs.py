"""What a run's orders come to on its two markets, and what is missing to cover the one with the other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

from missiondesk.feeds.board import Place
from missiondesk.orders.entry import Holding, holding_after
from missiondesk.orders.notional import amount_of_base, below_minimum, round_amount
from missiondesk.orders.strategy import Wanted
from missiondesk.strategies.rules import Held
from models.market import Instrument, Side
from models.order import Order


@dataclass(frozen=True)
class Leg:
    """One market of a strategy, and the account that trades there."""

    account: str
    instrument: Instrument

    @property
    def place(self) -> Place:
        return Place(self.instrument.exchange, self.instrument.symbol)

    def __str__(self) -> str:
        return f"{self.instrument.exchange}:{self.instrument.symbol}"

    def holding(self, orders: Iterable[Order]) -> Holding:
        """Of orders as they were sent, oldest first. Sold coins are owed, also on a spot market."""
        own = (order for order in orders if (order.exchange, order.symbol) == self.place)
        return holding_after(own, replace(self.instrument, is_contract=True))

    def base(self, holding: Holding) -> Decimal:
        """The signed amount of base that a holding stands for, at its entry price."""
        worth = holding.amount * self.instrument.contract_size
        return worth / holding.entry_price if self.instrument.inverse and holding.amount else worth

    def is_dust(self, holding: Holding) -> bool:
        """Whether there is nothing that the venue would let go."""
        amount = round_amount(self.instrument, abs(holding.amount))
        return below_minimum(self.instrument, amount, holding.entry_price) is not None

    def opening(self, side: Side, base: Decimal, price: Decimal | None = None) -> Wanted:
        return Wanted(self.account, *self.place, side, base, price=price)

    def reducing(self, side: Side, amount: Decimal, price: Decimal | None = None) -> Wanted:
        """`amount` as the venue counts. Coins that are owed are bought like any others."""
        contract = self.instrument.is_contract
        return Wanted(
            self.account,
            *self.place,
            side,
            amount,
            unit="contracts" if contract else "base",
            price=price,
            reduce_only=contract or side == "sell",
        )


@dataclass(frozen=True)
class Legs:
    """The market that a strategy leads with, and the one that covers what was filled there."""

    lead: Leg
    cover: Leg

    def held(self, orders: Iterable[Order]) -> Held:
        known = list(orders)
        return Held(self.lead.holding(known), self.cover.holding(known))

    def covering(self, held: Held) -> Wanted | None:
        """The order that makes both sides even; None while they differ by less than one can be ordered."""
        surplus = self.lead.base(held.lead) + self.cover.base(held.cover)
        side: Side = "sell" if surplus > 0 else "buy"
        instrument = self.cover.instrument
        price = held.lead.entry_price or held.cover.entry_price
        if surplus * held.cover.amount > 0:
            share = min(Decimal(1), abs(surplus / self.cover.base(held.cover)))
            amount = round_amount(instrument, abs(held.cover.amount) * share)
            wanted = self.cover.reducing(side, amount)
        else:
            amount = round_amount(instrument, amount_of_base(instrument, abs(surplus), price))
            wanted = self.cover.opening(side, abs(surplus))
        return None if amount == 0 or below_minimum(instrument, amount, price) is not None else wanted
