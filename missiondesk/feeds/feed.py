"""Live quotes of markets at any number of venues."""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from types import TracebackType
from typing import Self

from missiondesk.exchanges.port import MarketData
from missiondesk.feeds.board import Board, Place
from missiondesk.feeds.timing import Timing
from missiondesk.feeds.together import together
from missiondesk.feeds.venue import Connection, VenueFeed
from models.quote import Quote

log = logging.getLogger(__name__)

Handler = Callable[[Quote], object]
Connect = Callable[[str, Callable[[Quote], object]], Connection]

_STOPS_WITHIN_SECONDS = 15.0


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
        symbols: dict[str, list[str]] = defaultdict(list)
        for place in dict.fromkeys(places):
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

    >>> with FeedThread(feed):
    ...     feed.board.best(place, "bid", now)
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="feed", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._running = asyncio.run_coroutine_threadsafe(self._feed.run(), self._loop)
        return self

    def wait(self, seconds: float | None) -> bool:
        """Whether it ended by itself within this time. Raises what it ended with."""
        try:
            self._running.result(seconds)
        except TimeoutError:
            return False
        return True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._ended(), self._loop).result(_STOPS_WITHIN_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_STOPS_WITHIN_SECONDS)
        self._loop.close()

    async def _ended(self) -> None:
        self._running.cancel()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._loop.shutdown_default_executor()
