"""Recorded venues on a port of this machine: their websockets, and the REST a client needs to begin."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from aiohttp import WSMsgType, web

from missiondesk.exchanges.sandbox.playback.books import Book
from missiondesk.exchanges.sandbox.playback.dialects import DIALECTS, Dialect
from missiondesk.exchanges.sandbox.playback.recording import Tape, tapes
from models.errors import InputRefused, UnknownName

_STARTS_WITHIN_SECONDS: Final = 20.0
_FRAMES_A_BREATH: Final = 50

# The recorded answers by the end of their address, and where the address names a kind, by `instType`.
_REST_FILES: Final[Mapping[str, Mapping[str, str]]] = {
    "okx": {
        "public/instruments SPOT": "instruments_SPOT_*.json",
        "public/instruments SWAP": "instruments_SWAP_*.json",
        "public/instruments FUTURES": "instruments_FUTURES_*.json",
    },
    "bitmex": {
        "instrument/active": "instrument_active_*.json",
        "wallet/assets": "xchange/api_v1_wallet_assets.json",
    },
    "krakenfutures": {"instruments": "instruments_*.json"},
    "kraken": {"AssetPairs": "AssetPairs_*.json", "Assets": "xchange/example-assets-data.json"},
}
# What clients with keys ask for before anything else.
_REST_EMPTY: Final = {("okx", "asset/currencies"): '{"code": "0", "msg": "", "data": []}'}
_REST_BOOKS: Final = {
    "okx": ("market/books", "instId", "books"),
    "bitmex": ("orderBook/L2", "symbol", "orderBookL2"),
    "krakenfutures": ("orderbook", "symbol", "book"),
}


class RecordedVenue:
    """One venue's recordings in `folder`, which holds `rest/` and `ws/`."""

    def __init__(self, name: str, folder: Path) -> None:
        """Raises UnknownName for a venue whose wire is not known, InputRefused when nothing is recorded."""
        if name not in DIALECTS:
            raise UnknownName("recorded venue", name, DIALECTS)
        self.dialect: Dialect = DIALECTS[name]
        files = sorted((folder / "ws").glob(self.dialect.books))
        if not files:
            raise InputRefused(f"expected {self.dialect.books} in {folder / 'ws'}, got no such file")
        self.name = name
        self.tapes = tapes(files, self.dialect.topic)
        self._folder = folder

    def rest(self, path: str, query: Mapping[str, str]) -> str | None:
        """The recorded answer, or the book as its recording leaves it; None where there is neither."""
        if self.name in _REST_BOOKS:
            end, parameter, channel = _REST_BOOKS[self.name]
            if path.endswith(f"/{end}"):
                return self._rest_book(channel, query.get(parameter, ""))
        for (name, end), empty in _REST_EMPTY.items():
            if name == self.name and path.endswith(f"/{end}"):
                return empty
        kind = query.get("instType")
        wanted = f"{path} {kind}" if kind else path
        for known, pattern in _REST_FILES[self.name].items():
            if wanted.endswith(f"/{known}"):
                path_of_answer = min((self._folder / "rest").glob(pattern))
                return self.dialect.rest_answer(path_of_answer.read_text())
        return None

    def _rest_book(self, channel: str, market_id: str) -> str | None:
        tape = self.tapes.get(f"{channel}:{market_id}")
        if tape is None:
            return None
        book = Book()
        for frame in tape:
            self.dialect.apply(book, frame.content)
        return json.dumps(self.dialect.rest_book(market_id, book))


class PlaybackServer:
    """Recorded venues on a thread of this process; every client hears each tape from its beginning.

    speed: how many times faster than recorded; None: without a pause. repeat: begin a tape again at its end.

    >>> with PlaybackServer({"okx": folder}, speed=None) as server:
    ...     playback_urls(server.url, "okx")
    """

    def __init__(
        self, folders: Mapping[str, Path], *, speed: float | None = 1.0, repeat: bool = False, port: int = 0
    ) -> None:
        self._venues = {name: RecordedVenue(name, folder) for name, folder in folders.items()}
        self._speed = speed
        self._repeat = repeat
        self._given_port = port
        self.port = 0
        self.silent = False
        """While true it neither sends nor answers on websockets, as a peer that vanished."""
        self.down = False
        """While true it takes no websocket."""
        self.deaf_to: set[str] = set()
        """Topics whose subscriptions it neither accepts nor refuses."""
        self.subscribed: list[str] = []
        """The topics of every subscription that was accepted, in their order."""
        self._connections: set[asyncio.Transport] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="playback", daemon=True)
        self._ready = threading.Event()
        self._stop = asyncio.Event()

    @property
    def venues(self) -> Mapping[str, RecordedVenue]:
        return self._venues

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def drop_connections(self) -> int:
        """Close every websocket without a goodbye, as a network that fails; how many there were."""

        async def drop() -> int:
            dropped = list(self._connections)
            for transport in dropped:
                transport.abort()
            return len(dropped)

        return asyncio.run_coroutine_threadsafe(drop(), self._loop).result(_STARTS_WITHIN_SECONDS)

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(_STARTS_WITHIN_SECONDS):
            raise RuntimeError(f"the playback did not start within {_STARTS_WITHIN_SECONDS:.0f} s")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.drop_connections()
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_STARTS_WITHIN_SECONDS)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._run())
        self._loop.close()

    async def _run(self) -> None:
        application = web.Application()
        application.router.add_get("/{venue}/ws{tail:.*}", self._socket)
        application.router.add_get("/{venue}/{path:.*}", self._rest)
        runner = web.AppRunner(application, shutdown_timeout=1.0, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self._given_port)
        await site.start()
        assert site._server is not None
        self.port = runner.addresses[0][1]
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _rest(self, request: web.Request) -> web.Response:
        venue = self._venues.get(request.match_info["venue"])
        text = None if venue is None else venue.rest(request.path, request.query)
        if text is None:
            return web.json_response({"error": "nothing recorded"}, status=404)
        return web.Response(text=text, content_type="application/json")

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        venue = self._venues.get(request.match_info["venue"])
        if venue is None or self.down:
            return web.Response(status=503)
        connection = web.WebSocketResponse(autoping=False, compress=False)
        await connection.prepare(request)
        transport = request.transport
        assert transport is not None, "it was just prepared"
        self._connections.add(transport)
        players: list[asyncio.Task[None]] = []
        try:
            async for message in connection:
                if self.silent:
                    continue
                if message.type == WSMsgType.PING:
                    await connection.pong(message.data)
                elif message.type == WSMsgType.TEXT:
                    for topic in await self._answered(venue, connection, message.data):
                        players.append(asyncio.create_task(self._play(connection, venue.tapes[topic])))
        finally:
            self._connections.discard(transport)
            for player in players:
                player.cancel()
            await asyncio.gather(*players, return_exceptions=True)
        return connection

    async def _answered(
        self, venue: RecordedVenue, connection: web.WebSocketResponse, text: str
    ) -> list[str]:
        """The topics to play from now on."""
        pong = venue.dialect.pong(text)
        if pong is not None:
            await connection.send_str(pong)
            return []
        request, accepted = json.loads(text), []
        for topic in venue.dialect.wanted(request):
            if topic in self.deaf_to:
                continue
            if topic in venue.tapes:
                await connection.send_str(venue.dialect.accepted(request, topic))
                accepted.append(topic)
            else:
                await connection.send_str(venue.dialect.refused(request, topic))
        self.subscribed += accepted
        return accepted

    async def _play(self, connection: web.WebSocketResponse, tape: Tape) -> None:
        began = self._loop.time()
        for number, (after, text) in enumerate(_played(tape, self._repeat)):
            if self._speed is not None:
                await asyncio.sleep(max(0.0, began + after / self._speed - self._loop.time()))
            elif number % _FRAMES_A_BREATH == 0:
                await asyncio.sleep(0)
            if not self.silent:
                await connection.send_str(text)


def _played(tape: Tape, repeat: bool) -> Iterator[tuple[float, str]]:
    # Some recordings have no times; those begin again after a second.
    length, offset = tape[-1].after or 1.0, 0.0
    while True:
        for frame in tape:
            yield offset + frame.after, frame.text
        if not repeat:
            return
        offset += length
