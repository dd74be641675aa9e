"""The newest quote of every market, and whether it may be used."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, Literal, NamedTuple

from models.errors import DataStale
from models.quote import Quote

OLDEST_QUOTE: Final = timedelta(seconds=60)

Side = Literal["bid", "ask"]
SIDES: Final[tuple[Side, ...]] = ("bid", "ask")


class Place(NamedTuple):
    exchange: str
    symbol: str


class Best(NamedTuple):
    """The best price of one side; amount None where the venue names none."""

    price: Decimal
    amount: Decimal | None


class Board:
    """Quotes by market. Those of a connection that was lost are out of date from that moment on."""

    def __init__(self, oldest: timedelta = OLDEST_QUOTE) -> None:
        self._oldest = oldest
        self._quotes: dict[Place, Quote] = {}
        self._outdated: set[Place] = set()

    def put(self, quote: Quote) -> None:
        place = Place(quote.exchange, quote.symbol)
        self._quotes[place] = quote
        self._outdated.discard(place)

    def lose(self, places: Collection[Place]) -> None:
        """Their connection is lost: what it said no longer counts."""
        self._outdated.update(places)

    def quote(self, place: Place) -> Quote | None:
        """The newest one, however old it is."""
        return self._quotes.get(place)

    def problem(self, place: Place, now: datetime) -> str | None:
        """Why the newest quote may not be used at `now`; None when it may."""
        shown, quote = f"{place.exchange}:{place.symbol}", self._quotes.get(place)
        if quote is None:
            return f"{shown} has not been quoted yet"
        if place in self._outdated:
            return f"the connection that quoted {shown} is lost"
        age = now - quote.received_at
        if age > self._oldest:
            allowed = self._oldest.total_seconds()
            return f"the quote of {shown} is {age.total_seconds():.0f} s old, needs at most {allowed:.0f} s"
        return None

    def best(self, place: Place, side: Side, now: datetime) -> Best:
        """The best price of a side. Raises DataStale for an empty or an old one: it is never priced."""
        problem = self.problem(place, now)
        if problem is not None:
            raise DataStale(problem)
        quote = self._quotes[place]
        price, amount = (quote.bid, quote.bid_amount) if side == "bid" else (quote.ask, quote.ask_amount)
        if price is None or price <= 0 or amount == 0:
            raise DataStale(f"{place.exchange}:{place.symbol} has no {side}")
        return Best(price, amount)

    def stale_sides(self, place: Place, now: datetime) -> int:
        """How many of bid and ask have no price to use at `now`."""
        stale = 0
        for side in SIDES:
            try:
                self.best(place, side, now)
            except DataStale:
                stale += 1
        return stale
