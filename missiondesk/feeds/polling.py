"""Order books asked for again and again, for exchanges that offer no websocket."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from missiondesk.exchanges.port import MarketData
from missiondesk.feeds.venue import DEPTH, OnBook, OnQuote, quote_of
from models.market import OrderBook


class Polling:
    """A Connection whose frames are REST answers; lost at the first answer that does not come."""

    def __init__(self, market: MarketData, on_quote: OnQuote, on_book: OnBook, seconds: float = 1.0) -> None:
        self._market = market
        self._on_quote = on_quote
        self._on_book = on_book
        self._seconds = seconds
        self._reading: asyncio.Task[None] | None = None
        self.heard_at = 0.0
        self.unanswered: Sequence[str] = ()
        """It subscribes to nothing."""

    async def open(self, symbols: Sequence[str]) -> None:
        self._heard()
        self._reading = asyncio.create_task(self._read(symbols))

    async def wait_until_lost(self, seconds: float) -> None:
        """Returns after so long; raises what reading the exchange raised before."""
        assert self._reading is not None, "it was opened"
        await asyncio.wait([self._reading], timeout=seconds)
        if self._reading.done():
            self._reading.result()

    async def ping(self) -> None:
        """Nothing to ask: it asks all the time."""

    async def disconnect(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    async def close(self) -> None:
        await self.disconnect()

    def _heard(self) -> None:
        self.heard_at = asyncio.get_running_loop().time()

    async def _read(self, symbols: Sequence[str]) -> None:
        while True:
            for symbol in symbols:
                book = await asyncio.to_thread(self._market.order_book, symbol, DEPTH)
                self._heard()
                self._on_book(symbol, partial(_same, book))
                self._on_quote(quote_of(book, datetime.now(UTC)))
            await asyncio.sleep(self._seconds)


def _same(book: OrderBook) -> OrderBook:
    return book
