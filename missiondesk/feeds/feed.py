"""Live quotes of markets at any number of venues."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError
from datetime import UTC, datetime
from functools import partial
from types import TracebackType
from typing import Self

from missiondesk.exchanges.loop_thread import LoopThread
from missiondesk.exchanges.port import MarketData
from missiondesk.feeds.board import Board, Place
from missiondesk.feeds.timing import Timing
from missiondesk.feeds.together import together
from missiondesk.feeds.venue import Connection, OnBook, OnQuote, VenueFeed, quote_of
from models.errors import DataStale, ExchangeUnreachable, UnknownName
from models.market import OrderBook
from models.quote import Quote

log = logging.getLogger(__name__)

Handler = Callable[[Quote], object]
Connect = Callable[[str, OnQuote, OnBook], Connection]


class Feed:
    """Every change of the best prices reaches the registered handlers, one after the other, in `run`'s loop.

    A handler that fails is logged, and the others are called all the same. `board` has the newest quotes.
    """

    def __init__(
        self,
        places: Iterable[Place],
        connect: Connect,
        open_market: Callable[[str], MarketData | None],
        timing: Timing | None = None,
        chance: random.Random | None = None,
    ) -> None:
        """connect: an exchange's websocket. open_market: its REST side, None to do without."""
        self.board = Board()
        self._handlers: tuple[Handler, ...] = ()
        self.places = tuple(dict.fromkeys(places))
        symbols: dict[str, list[str]] = defaultdict(list)
        for place in self.places:
            symbols[place.exchange].append(place.symbol)
        self.venues = {
            exchange: VenueFeed(
                exchange,
                listed,
                partial(connect, exchange),
                open_market(exchange),
                self.board,
                self._tell,
                timing or Timing(),
                chance or random.Random(),
            )
            for exchange, listed in symbols.items()
        }

    def register(self, handler: Handler) -> None:
        self._handlers = (*self._handlers, handler)

    def remove(self, handler: Handler) -> None:
        """Raises LookupError when it is not registered."""
        if handler not in self._handlers:
            raise LookupError(f"expected a registered handler, got {handler!r}")
        left = list(self._handlers)
        left.remove(handler)
        self._handlers = tuple(left)

    async def next_order_book(self, place: Place) -> OrderBook:
        """What its websocket says next of this market; what it said before the question does not count.

        Raises UnknownName for a market that is not fed, ExchangeUnreachable without a connection or when it
        is lost before. Waits for as long as nothing is said.
        """
        if place not in self.places:
            existing = (f"{each.exchange}:{each.symbol}" for each in self.places)
            raise UnknownName("market of this feed", f"{place.exchange}:{place.symbol}", existing)
        return await self.venues[place.exchange].next_order_book(place.symbol)

    async def run(self) -> None:
        """Until it is cancelled. Raises CallOperator when a venue is closed or refuses."""
        await together([venue.run() for venue in self.venues.values()])

    def _tell(self, quote: Quote) -> None:
        for handler in self._handlers:
            try:
                handler(quote)
            except Exception:
                log.exception("a handler of quotes failed on %s:%s", quote.exchange, quote.symbol)


class FeedThread:
    """A feed on a thread of its own, for code that blocks.

    >>> with FeedThread(feed) as running:
    ...     running.next_order_book(place, seconds=5)
    ...     feed.board.best(place, "bid", now)
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    def __enter__(self) -> Self:
        self._thread = LoopThread("feed")
        self._running = self._thread.begin(self._feed.run())
        return self

    def wait(self, seconds: float | None) -> bool:
        """Whether it ended by itself within this time. Raises what it ended with."""
        try:
            self._running.result(seconds)
        except TimeoutError:
            return False
        return True

    def next_order_book(self, place: Place, seconds: float = 10.0) -> OrderBook:
        """Block until the market's websocket says something of it, and no longer than this.

        Any number of threads may ask. Raises DataStale when nothing was said in time, and what
        `Feed.next_order_book` raises.
        """
        answer = self._thread.begin(asyncio.wait_for(self._feed.next_order_book(place), seconds))
        try:
            return answer.result()
        except TimeoutError:
            shown = f"{place.exchange}:{place.symbol}"
            raise DataStale(f"nothing was said of {shown} within {seconds:g} s") from None
        except CancelledError:
            raise ExchangeUnreachable("the feed was stopped before an answer came") from None

    def next_quote(self, place: Place, seconds: float = 10.0) -> Quote:
        """The best prices of the next order book; see there."""
        return quote_of(self.next_order_book(place, seconds), datetime.now(UTC))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.cancel()
        self._thread.stop()
