"""A process that works at the places of one Missionary until all are filled, or until it is killed."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from missiondesk.orders.patience import Patience
from missiondesk.store.database import connect
from models.errors import ExchangeUnreachable, LeaseLost
from models.order import TradeRequest
from tests.little_venue import Fault, LittleVenue
from tests.order_desk import OrderDesk, WallClock, at_place

PATIENCE = Patience(
    send_window=timedelta(seconds=0.5),
    absence_margin=timedelta(seconds=0.5),
    fill_wait=timedelta(seconds=0.2),
    venue_wait=timedelta(seconds=1),
)


def work(database_url: str, venue_file: Path, request: TradeRequest, places: int, seed: int) -> None:
    """Work at all places in turn, taking the lease from whoever has it; exit 0 once every place is filled."""
    chance, clock = random.Random(seed), WallClock()
    venue = LittleVenue(venue_file, clock, fault=lambda call: _fault(call, chance), slow_to_show_seconds=0.3)
    desk = OrderDesk(connect(database_url), venue, clock, PATIENCE)
    holder = f"run-{seed}"
    gateway = desk.gateway(holder)
    left = list(range(places))
    while left:
        index = chance.choice(left)
        venue.liquidity = chance.choice([Decimal(1), Decimal("0.4")])
        try:
            if gateway.work(of_place(request, index), clock()).done:
                left.remove(index)
        except LeaseLost:
            clock.forward(chance.uniform(0, 0.05))
            desk.lease(request.key.missionary_id, holder)
        except ExchangeUnreachable:
            clock.forward(0.01)
        if chance.random() < 0.3 and any(order.status == "open" for order in venue.accepted()):
            venue.fill(str(chance.randint(1, 500) * Decimal("0.0001")))


def of_place(request: TradeRequest, index: int) -> TradeRequest:
    """Every third place rests at a limit below the market, and is given up after a moment."""
    price = Decimal(15000) if index % 3 == 0 else None
    return replace(at_place(request, index), amount=Decimal("0.05"), price=price, timeout_seconds=0.4)


def _fault(call: str, chance: random.Random) -> Fault | None:
    if call == "place":
        faults: list[Fault] = ["lose answer", "lose answer", "lose request", "slow to show", "reject"]
        return chance.choice(faults) if chance.random() < 0.3 else None
    return "unreachable" if chance.random() < 0.05 else None
