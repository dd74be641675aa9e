"""Order books over a websocket, every change of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from missiondesk.exchanges.ccxt_errors import Passage, Translation
from missiondesk.exchanges.ccxt_socket import SocketClient
from missiondesk.exchanges.ccxt_values import order_book_of
from missiondesk.exchanges.ccxt_wire import MALFORMED
from missiondesk.exchanges.venues import Venue
from missiondesk.market.candles import to_datetime
from models.errors import ExchangeUnreachable
from models.market import OrderBook
from models.quote import Quote

log = logging.getLogger(__name__)

_Best = tuple[float, float] | None


class Stream:
    """The order books of one venue over one connection at a time; for one event loop.

    `on_quote` is called whenever the best price or amount of a side differs from the last one told, `on_book`
    after every frame with what makes the whole book of it, to be called at once or not at all.
    """

    def __init__(
        self,
        name: str,
        venue: Venue,
        on_quote: Callable[[Quote], object],
        on_book: Callable[[str, Callable[[], OrderBook]], object] | None = None,
        *,
        url_overrides: Mapping[str, Any] | None = None,
    ) -> None:
        self._name = name
        self._on_quote = on_quote
        self._on_book = on_book
        self._translation = Translation(name, venue, None)
        self._socket = SocketClient(name, venue, self, url_overrides=url_overrides)
        self._told: dict[str, tuple[_Best, _Best]] = {}
        self._watching: dict[str, asyncio.Future[Any]] = {}
        self._lost: asyncio.Future[ExchangeUnreachable] | None = None
        self.heard_at = 0.0
        """When the newest frame came, of whatever kind, on the clock of the event loop."""

    async def open(self, symbols: Sequence[str]) -> None:
        """Connect and subscribe; quotes follow. Raises what reading from the exchange raises."""
        import ccxt

        loop = asyncio.get_running_loop()
        self._told.clear()
        self.heard_at = loop.time()
        self._lost = loop.create_future()
        try:
            await self._socket.ccxt.load_markets()
        except (ccxt.BaseError, *MALFORMED) as error:
            raise self._translation.while_reading(error, Passage()) from None
        # One by one: venues refuse markets of different kinds at once, or all of them for one.
        self._watching = {
            symbol: asyncio.ensure_future(self._socket.ccxt.watch_order_book(symbol)) for symbol in symbols
        }
        for watching in self._watching.values():
            watching.add_done_callback(self._watched)

    @property
    def unanswered(self) -> list[str]:
        """The symbols of which neither a book nor a refusal has come yet."""
        return [symbol for symbol, watching in self._watching.items() if not watching.done()]

    async def wait_until_lost(self, seconds: float) -> None:
        """Returns after so long; raises ExchangeUnreachable when the connection is lost before."""
        assert self._lost is not None, "it was opened"
        await asyncio.wait([self._lost], timeout=seconds)
        if self._lost.done():
            raise self._lost.result()

    async def ping(self) -> None:
        """Ask the venue for a sign of life, in its own way; any frame is one."""
        for client in list(self._socket.ccxt.clients.values()):
            if client.closed():
                continue
            try:
                if client.ping:
                    await client.send(client.ping(client))
                else:
                    await client.connection.ping()
            except (ConnectionError, RuntimeError) as error:
                self._lose(error)

    async def disconnect(self) -> None:
        """Drop the connection with its subscriptions and books; `open` makes a new one."""
        for watching in self._watching.values():
            watching.cancel()
        await self._socket.disconnect()

    async def close(self) -> None:
        await self.disconnect()
        await self._socket.close()

    def on_frame(self) -> None:
        self.heard_at = asyncio.get_running_loop().time()

    def on_result(self, result: Any) -> None:
        if isinstance(result, dict) and "bids" in result:
            self._tell(result)

    def on_failure(self, connection: Any, error: BaseException, key: object) -> BaseException:
        self._refused_or_lost(error)
        return error

    def on_send(self, message: Any) -> Any:
        return message

    def on_unreadable(self, connection: Any, message: Any, error: Exception) -> None:
        self._lose(error)

    def _tell(self, book: Mapping[str, Any]) -> None:
        symbol = book["symbol"]
        if self._on_book is not None:
            self._on_book(symbol, lambda: order_book_of(self._name, symbol, book, datetime.now(UTC)))
        bid, ask = _best(book["bids"]), _best(book["asks"])
        if self._told.get(symbol) == (bid, ask):
            return
        self._told[symbol] = (bid, ask)
        now = datetime.now(UTC)
        stamp = book["timestamp"]
        self._on_quote(
            Quote(
                exchange=self._name,
                symbol=symbol,
                bid=_decimal(bid, 0),
                bid_amount=_decimal(bid, 1),
                ask=_decimal(ask, 0),
                ask_amount=_decimal(ask, 1),
                at=to_datetime(stamp) if stamp else now,
                received_at=now,
            )
        )

    def _watched(self, watching: asyncio.Future[Any]) -> None:
        if not watching.cancelled() and (error := watching.exception()) is not None:
            self._refused_or_lost(error)

    def _refused_or_lost(self, error: BaseException) -> None:
        import ccxt

        if isinstance(error, ccxt.BaseError) and not isinstance(error, ccxt.OperationFailed):
            log.warning("%s refuses a subscription: %s", self._name, error)
        else:
            self._lose(error)

    def _lose(self, error: BaseException) -> None:
        if self._lost is not None and not self._lost.done():
            said = str(error) or "no reason given"
            self._lost.set_result(
                ExchangeUnreachable(f"{self._name}: the connection is lost: {said} ({type(error).__name__})")
            )


def _best(side: Sequence[Sequence[float]]) -> _Best:
    return (side[0][0], side[0][1]) if side else None


def _decimal(best: _Best, place: int) -> Decimal | None:
    return None if best is None else Decimal(repr(best[place]))
