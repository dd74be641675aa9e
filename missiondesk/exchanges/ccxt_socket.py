"""The one module that imports ccxt.pro: its client, with every frame read and every event told.

ccxt.pro tells the newest state to whoever waits at that moment. Its client passes every result through
`resolve` and every failure through `reject`: these are listened to here. Importing it takes seconds, so that
is done late.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from itertools import count
from typing import Any, Final, Protocol

from missiondesk.exchanges.credentials import Credentials
from missiondesk.exchanges.venues import Venue

log = logging.getLogger(__name__)

_CLOSED_WITHIN_SECONDS: Final = 5.0
_FRAMES_A_BREATH: Final = 100


def streams_books(ccxt_id: str) -> bool:
    """Whether ccxt.pro knows this exchange's order books."""
    return _can(ccxt_id, "watchOrderBook")


def takes_orders(ccxt_id: str) -> bool:
    """Whether ccxt.pro sends this exchange orders."""
    return _can(ccxt_id, "createOrderWs")


def _can(ccxt_id: str, capability: str) -> bool:
    import ccxt.pro

    return ccxt_id in ccxt.pro.exchanges and bool(getattr(ccxt.pro, ccxt_id)().has[capability])


class Listener(Protocol):
    """Who hears what happens on the connections of a client. `connection` is ccxt's."""

    def on_frame(self) -> None:
        """A frame came, of whatever kind."""

    def on_result(self, result: Any) -> None:
        """A frame was understood; `result` is what ccxt made of it."""

    def on_failure(self, connection: Any, error: BaseException, key: object) -> BaseException | None:
        """What those who wait are told: those of `key`, or all of them if it is None. None: nothing."""

    def on_send(self, message: Any) -> Any:
        """What is sent instead of this message."""

    def on_unreadable(self, connection: Any, message: Any, error: Exception) -> None:
        """A frame that ccxt does not understand; without a word here, reading would end in silence."""


class SocketClient:
    """A ccxt.pro client of one venue, for one event loop. When to ping and to connect again is the user's."""

    def __init__(
        self,
        name: str,
        venue: Venue,
        listener: Listener,
        *,
        url_overrides: Mapping[str, Any] | None = None,
        credentials: Credentials | None = None,
    ) -> None:
        """url_overrides: ccxt's `urls.api`, for a local venue that speaks the same protocol."""
        import ccxt.pro

        # At DEBUG it logs the headers and bodies of signed requests.
        logging.getLogger("ccxt").setLevel(logging.INFO)
        self._name = name
        self._listener = listener
        self._reading: set[asyncio.Task[None]] = set()
        options: dict[str, Any] = {"options": dict(venue.client_options)}
        if url_overrides is not None:
            options["urls"] = {"api": dict(url_overrides)}
            options["enableRateLimit"] = False
        if credentials is not None:
            options |= credentials.for_ccxt()
        self.ccxt = getattr(ccxt.pro, venue.ccxt_id)(options)
        self._take_over()

    async def disconnect(self) -> None:
        """Drop the connections with their subscriptions and books; the next request makes new ones."""
        for reading in self._reading:
            reading.cancel()
        await asyncio.gather(*self._reading, return_exceptions=True)
        connections = list(self.ccxt.clients.values())
        self.ccxt.clients.clear()
        self.ccxt.orderbooks.clear()
        for connection in connections:
            # A peer that is gone does not answer a goodbye either.
            try:
                await asyncio.wait_for(connection.close(), _CLOSED_WITHIN_SECONDS)
            except TimeoutError:
                log.info("%s does not close its connection", self._name)

    async def close(self) -> None:
        await self.disconnect()
        await self.ccxt.close()

    def _take_over(self) -> None:
        client = self.ccxt
        client.streaming["keepAlive"] = 0
        client.ws_dial_delay = lambda url: 0
        if client.id == "okx":
            # Of a millisecond and four random digits, two requests would have the same now and then.
            numbers = count(client.milliseconds())
            client.request_id = lambda: str(next(numbers))
        make_connection, handle_message = client.client, client.handle_message

        def connection(url: str) -> Any:
            known = url in client.clients
            made = make_connection(url)
            if not known:
                self._listen_to(made)
            return made

        def handled(connection: Any, message: object) -> None:
            try:
                handle_message(connection, message)
            except Exception as error:
                self._listener.on_unreadable(connection, message, error)

        client.client, client.handle_message = connection, handled

    def _listen_to(self, connection: Any) -> None:
        resolve, reject, send = connection.resolve, connection.reject, connection.send
        loop = asyncio.get_running_loop()

        def resolved(result: Any, key: Any = None) -> Any:
            self._listener.on_result(result)
            return resolve(result, key)

        def rejected(error: Any, key: Any = None) -> Any:
            told = self._listener.on_failure(connection, error, key)
            return error if told is None else reject(told, key)

        async def sent(message: Any) -> None:
            await send(self._listener.on_send(message))

        def read() -> None:
            reading = loop.create_task(self._read(connection))
            self._reading.add(reading)
            reading.add_done_callback(self._reading.discard)

        connection.resolve, connection.reject, connection.send = resolved, rejected, sent
        connection.receive_loop = read

    async def _read(self, connection: Any) -> None:
        """Every frame, until the connection ends.

        ccxt's own loop takes frames past aiohttp's account of what is buffered. After some thousand frames of
        a fast venue that account is full for good, and nothing is read any more.
        """
        from aiohttp import WSMsgType

        ends = (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR)
        for number in count(1):
            frame = await connection.receive()
            self._listener.on_frame()
            try:
                connection.handle_message(frame)
            except ValueError as error:
                self._listener.on_unreadable(connection, frame.data, error)
            if frame.type in ends:
                if frame.type in (WSMsgType.CLOSING, WSMsgType.CLOSED):
                    connection.on_close(1006)
                return
            if number % _FRAMES_A_BREATH == 0:
                await asyncio.sleep(0)
