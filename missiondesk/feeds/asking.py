"""Who waits for what comes next of a market; each is told once."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable

from models.errors import ExchangeUnreachable
from models.market import OrderBook


class Askers:
    """Of one connection, for one event loop. What came before a question is no answer to it."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[asyncio.Future[OrderBook]]] = defaultdict(list)

    async def next_order_book(self, symbol: str) -> OrderBook:
        """Raises what the connection was lost with while this waited."""
        asked: asyncio.Future[OrderBook] = asyncio.get_running_loop().create_future()
        self._waiting[symbol].append(asked)
        try:
            return await asked
        finally:
            if asked in self._waiting.get(symbol, ()):
                self._waiting[symbol].remove(asked)

    def answer(self, symbol: str, book: Callable[[], OrderBook]) -> None:
        """The book is made only when someone waits for it."""
        waiting = self._waiting.pop(symbol, None)
        if waiting:
            made = book()
            for asked in waiting:
                if not asked.done():
                    asked.set_result(made)

    def fail(self, error: ExchangeUnreachable) -> None:
        for waiting in self._waiting.values():
            for asked in waiting:
                if not asked.done():
                    asked.set_exception(error)
        self._waiting.clear()
