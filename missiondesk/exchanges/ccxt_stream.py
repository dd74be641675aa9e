"""The one module that imports ccxt.pro: order books over a websocket, every change of them.

ccxt.pro tells the newest state to whoever waits at that moment. Its client passes every book through
`resolve` and every failure through `reject`: these are listened to here. Importing it takes seconds, so that
is done late.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from typing import Any, Final

from missiondesk.exchanges.ccxt_errors import Passage, Translation
from missiondesk.exchanges.ccxt_wire import MALFORMED
from missiondesk.exchanges.venues import Venue
from missiondesk.market.candles import to_datetime
from models.errors import ExchangeUnreachable
from models.quote import Quote

log = logging.getLogger(__name__)

_CLOSED_WITHIN_SECONDS: Final = 5.0
_FRAMES_A_BREATH: Final = 100

_Best = tuple[float, float] | None


def streams_books(ccxt_id: str) -> bool:
    """Whether ccxt.pro knows this exchange's order books."""
    import ccxt.pro

    return ccxt_id in ccxt.pro.exchanges and bool(getattr(ccxt.pro, ccxt_id)().has["watchOrderBook"])


class Stream:
    """The order books of one venue over one connection at a time; for one event loop.

    `on_quote` is called whenever the best price or amount of a side differs from the last one told.
    """

    def __init__(
        self,
        name: str,
        venue: Venue,
        on_quote: Callable[[Quote], object],
        *,
        url_overrides: Mapping[str, Any] | None = None,
    ) -> None:
        self._name = name
        self._on_quote = on_quote
        self._translation = Translation(name, venue, None)
        self._client = self._make(venue, url_overrides)
        self._told: dict[str, tuple[_Best, _Best]] = {}
        self._watching: list[asyncio.Future[Any]] = []
        self._reading: asyncio.Task[None] | None = None
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
            await self._client.load_markets()
        except (ccxt.BaseError, *MALFORMED) as error:
            raise self._translation.while_reading(error, Passage()) from None
        # One by one: venues refuse markets of different kinds at once, or all of them for one.
        self._watching = [asyncio.ensure_future(self._client.watch_order_book(symbol)) for symbol in symbols]
        for watching in self._watching:
            watching.add_done_callback(self._watched)

    async def wait_until_lost(self, seconds: float) -> None:
        """Returns after so long; raises ExchangeUnreachable when the connection is lost before."""
        assert self._lost is not None, "it was opened"
        await asyncio.wait([self._lost], timeout=seconds)
        if self._lost.done():
            raise self._lost.result()

    async def ping(self) -> None:
        """Ask the venue for a sign of life, in its own way; any frame is one."""
        for client in list(self._client.clients.values()):
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
        for watching in self._watching:
            watching.cancel()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        clients = list(self._client.clients.values())
        self._client.clients.clear()
        self._client.orderbooks.clear()
        for client in clients:
            # A peer that is gone does not answer a goodbye either.
            try:
                await asyncio.wait_for(client.close(), _CLOSED_WITHIN_SECONDS)
            except TimeoutError:
                log.info("%s does not close its connection", self._name)

    async def close(self) -> None:
        await self.disconnect()
        await self._client.close()

    def _make(self, venue: Venue, url_overrides: Mapping[str, Any] | None) -> Any:
        import ccxt.pro

        options: dict[str, Any] = {"options": dict(venue.client_options)}
        if url_overrides is not None:
            options["urls"] = {"api": dict(url_overrides)}
            options["enableRateLimit"] = False
        client = getattr(ccxt.pro, venue.ccxt_id)(options)
        # Signs of life are asked for by whoever uses this, in one way for all venues.
        client.streaming["keepAlive"] = 0
        # And when to connect again, too.
        client.ws_dial_delay = lambda url: 0
        make_connection, handle_message = client.client, client.handle_message

        def connection(url: str) -> Any:
            known = url in client.clients
            made = make_connection(url)
            if not known:
                self._listen_to(made)
            return made

        def handled(connection: Any, message: object) -> None:
            # An error here would end the reading in silence.
            try:
                handle_message(connection, message)
            except Exception as error:
                self._lose(error)

        client.client, client.handle_message = connection, handled
        return client

    def _listen_to(self, connection: Any) -> None:
        resolve, reject, handle_message = connection.resolve, connection.reject, connection.handle_message
        loop = asyncio.get_running_loop()

        def resolved(result: Any, message_hash: Any = None) -> Any:
            if isinstance(result, dict) and "bids" in result:
                self._tell(result)
            return resolve(result, message_hash)

        def rejected(error: Any, message_hash: Any = None) -> Any:
            self._refused_or_lost(error)
            return reject(error, message_hash)

        def heard(message: Any) -> None:
            self.heard_at = loop.time()
            handle_message(message)

        def read() -> None:
            self._reading = loop.create_task(_read(connection))

        connection.resolve, connection.reject, connection.handle_message = resolved, rejected, heard
        connection.receive_loop = read

    def _tell(self, book: Mapping[str, Any]) -> None:
        symbol = book["symbol"]
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


async def _read(connection: Any) -> None:
    """Every frame, until the connection ends.

    ccxt's own loop takes frames past aiohttp's account of what is buffered. After some thousand frames of a
    fast venue that account is full for good, and nothing is read any more.
    """
    from aiohttp import WSMsgType

    ends = (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR)
    for number in count(1):
        message = await connection.receive()
        connection.handle_message(message)
        if message.type in ends:
            if message.type in (WSMsgType.CLOSING, WSMsgType.CLOSED):
                connection.on_close(1006)
            return
        if number % _FRAMES_A_BREATH == 0:
            await asyncio.sleep(0)


def _best(side: Sequence[Sequence[float]]) -> _Best:
    return (side[0][0], side[0][1]) if side else None


def _decimal(best: _Best, place: int) -> Decimal | None:
    return None if best is None else Decimal(repr(best[place]))
