"""How long the order gateway waits for what."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Patience:
    """send_window: the venue must refuse an order that arrives later than this after it was marked sent.

    absence_margin: how long after that deadline an order that is nowhere at the venue may still turn up.
    fill_wait: how long a call follows a fresh market order. venue_wait: how long it waits for its turn with a
    live account's key. turn: how long such a turn may last. price_age: an older price is stale.
    """

    send_window: timedelta = timedelta(seconds=10)
    absence_margin: timedelta = timedelta(seconds=20)
    fill_wait: timedelta = timedelta(seconds=5)
    venue_wait: timedelta = timedelta(seconds=30)
    turn: timedelta = timedelta(minutes=5)
    price_age: timedelta = timedelta(seconds=60)
