"""From the names of markets to markets that are ready to be asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from functools import cache

from missiondesk.exchanges.port import MarketData
from missiondesk.market_names import NamedMarket, market_of
from models.errors import UnknownName
from models.market import Instrument, OrderBook, Ticker


@dataclass(frozen=True)
class Market:
    """One market of an exchange."""

    named: NamedMarket
    instrument: Instrument
    exchange: MarketData

    def ticker(self) -> Ticker:
        """The best bid and ask with their amounts. Raises DataStale when a side is empty."""
        return self.exchange.ticker(self.named.symbol)

    def order_book(self, depth: int = 50) -> OrderBook:
        """Bids from the highest price down, asks from the lowest up."""
        return self.exchange.order_book(self.named.symbol, depth)


def create_markets(
    names: Iterable[str], open_market: Callable[[str], MarketData], now: datetime
) -> dict[str, Market]:
    """The markets by the names given; each exchange is opened once.

    Raises InputRefused for a name in no known form, UnknownName for an exchange or a symbol that is not
    listed, VenueClosed or ExchangeUnreachable.
    """
    opened = cache(open_market)
    places = [market_of(name, now) for name in dict.fromkeys(names)]
    return {place.name: _market(place, opened(place.exchange)) for place in places}


def _market(place: NamedMarket, exchange: MarketData) -> Market:
    listed = exchange.instruments()
    if place.symbol not in listed:
        near = get_close_matches(place.symbol, listed, n=10, cutoff=0.5)
        raise UnknownName(f"market of {place.exchange} (as {place.name})", place.symbol, near or listed)
    return Market(place, listed[place.symbol], exchange)
