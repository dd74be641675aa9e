"""From the names of markets to what their exchanges list under them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from functools import cache

from missiondesk.exchanges.port import MarketData
from missiondesk.market_names import NamedMarket, market_of
from models.errors import UnknownName
from models.market import Instrument


@dataclass(frozen=True)
class Listed:
    """A market that its exchange lists."""

    named: NamedMarket
    instrument: Instrument
    exchange: MarketData


def listed_markets(
    names: Iterable[str], open_market: Callable[[str], MarketData], now: datetime
) -> dict[str, Listed]:
    """By the names given, each once; so is each exchange opened.

    Raises InputRefused for a name in no known form, UnknownName for an exchange or a symbol that is not
    listed, VenueClosed or ExchangeUnreachable.
    """
    opened = cache(open_market)
    places = [market_of(name, now) for name in dict.fromkeys(names)]
    return {place.name: _listed(place, opened(place.exchange)) for place in places}


def _listed(place: NamedMarket, exchange: MarketData) -> Listed:
    instruments = exchange.instruments()
    if place.symbol not in instruments:
        near = get_close_matches(place.symbol, instruments, n=10, cutoff=0.5)
        raise UnknownName(f"market of {place.exchange} (as {place.name})", place.symbol, near or instruments)
    return Listed(place, instruments[place.symbol], exchange)
