"""A feed of the markets that someone named."""

from __future__ import annotations

from collections.abc import Iterable

from missiondesk.exchanges.ccxt_exchange import CcxtExchange
from missiondesk.exchanges.ccxt_socket import streams_books
from missiondesk.exchanges.ccxt_stream import Stream
from missiondesk.exchanges.open import open_exchange, sandbox_url
from missiondesk.exchanges.port import MarketData
from missiondesk.exchanges.sandbox.address import SANDBOXES, ccxt_urls
from missiondesk.exchanges.sandbox.playback.address import playback_urls
from missiondesk.exchanges.venues import venue_of
from missiondesk.feeds.board import Place
from missiondesk.feeds.feed import Feed
from missiondesk.feeds.polling import Polling
from missiondesk.feeds.timing import Timing
from missiondesk.feeds.venue import Connection, OnBook, OnQuote
from missiondesk.market_names import NamedMarket
from missiondesk.settings import Settings
from models.errors import VenueClosed


class Venues:
    """The public side of exchanges by name: the real ones, or those that a playback recorded."""

    def __init__(self, settings: Settings, playback: str | None = None) -> None:
        self._settings = settings
        self._playback = playback

    def open(self, exchange: str) -> MarketData:
        """See `open_exchange`."""
        if self._playback is None or exchange in SANDBOXES:
            return open_exchange(exchange, self._settings)
        urls = playback_urls(self._playback, exchange)
        return CcxtExchange(exchange, exchange, url_overrides=urls, limit_rate=False)

    def connect(self, exchange: str, on_quote: OnQuote, on_book: OnBook) -> Connection:
        """Not connected yet; who has no websocket is polled. Raises as `open` does."""
        if exchange in SANDBOXES:
            speaks = SANDBOXES[exchange]
            urls = ccxt_urls(sandbox_url(self._settings), speaks)["urls"]["api"]
            if "ws" not in urls:
                return Polling(self.open(exchange), on_quote, on_book)
            return Stream(exchange, venue_of(speaks), on_quote, on_book, url_overrides=urls)
        venue = venue_of(exchange)
        if self._playback is not None:
            urls = playback_urls(self._playback, exchange)
            return Stream(exchange, venue, on_quote, on_book, url_overrides=urls)
        if venue.closed is not None:
            raise VenueClosed(venue.closed)
        if not streams_books(exchange):
            return Polling(self.open(exchange), on_quote, on_book)
        return Stream(exchange, venue, on_quote, on_book)


def open_feed(markets: Iterable[NamedMarket], venues: Venues, timing: Timing | None = None) -> Feed:
    """Connects when it runs."""
    places = [Place(market.exchange, market.symbol) for market in markets]
    return Feed(places, venues.connect, venues.open, timing)
