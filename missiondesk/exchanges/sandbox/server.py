"""The sandbox as a running server: its parts put together, on a thread or in this process."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from missiondesk.exchanges.sandbox.access import Access, CallLimit
from missiondesk.exchanges.sandbox.address import SANDBOX_KEY, SANDBOX_SECRET
from missiondesk.exchanges.sandbox.answering import ConnectionLost
from missiondesk.exchanges.sandbox.control import Control
from missiondesk.exchanges.sandbox.exchange import FIRST_BALANCES, Exchange
from missiondesk.exchanges.sandbox.faults import Faults
from missiondesk.exchanges.sandbox.generator import Generator
from missiondesk.exchanges.sandbox.kraken_rest import KrakenRest
from missiondesk.exchanges.sandbox.kraken_socket import KrakenSockets
from missiondesk.exchanges.sandbox.kraken_socket_orders import SocketOrders
from missiondesk.exchanges.sandbox.market import Market
from missiondesk.exchanges.sandbox.pairs import STANDARD_SYMBOLS, Pair
from missiondesk.exchanges.sandbox.recording import Recordings
from missiondesk.exchanges.sandbox.source import MarketSource, SeveralSources
from missiondesk.exchanges.sandbox.state import State
from missiondesk.exchanges.sandbox.venue import bitmex_venue, okx_venue

Clock = Callable[[], datetime]

_PATIENCE = 20.0
_Speakers = (H11Protocol, WebSocketsSansIOProtocol)


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class SandboxSettings:
    """How a sandbox is made.

    source: a market source, a candle file or folder, or None for generated prices; pairs that files do not
    have are generated. state: a SQLite file that survives a kill, None for memory. balances: what the account
    owns when its state is new; each exchange of the sandbox has an account of its own. credentials: API keys
    and their base64 secrets.
    """

    source: MarketSource | Path | str | None = None
    state: Path | str | None = None
    clock: Clock = utc_now
    seed: int = 1
    balances: Mapping[str, Decimal] = field(default_factory=lambda: dict(FIRST_BALANCES))
    credentials: Mapping[str, str] = field(default_factory=lambda: {SANDBOX_KEY: SANDBOX_SECRET}, repr=False)
    call_limit: CallLimit = field(default_factory=CallLimit)


class Sandbox:
    """Exchanges on the same prices, one for each protocol, with their HTTP application."""

    def __init__(self, settings: SandboxSettings) -> None:
        self._state = _state(settings)
        self.recordings = _recordings(settings, self._state)
        source = _whole_source(settings.source, self.recordings, settings.seed)
        self.exchange = Exchange(Market(source), self._state, settings.balances)
        self.faults = Faults()
        access = Access(settings.credentials, self._state, settings.call_limit)

        def clock() -> float:
            return settings.clock().timestamp()

        orders = SocketOrders(self.exchange, clock)
        rest = KrakenRest(self.exchange, access, self.faults, clock, orders)
        self.sockets = KrakenSockets(self.exchange, orders, self.faults, clock)
        self.venues = {
            name: opened(source, _state(settings, name), settings.balances, settings.credentials, clock)
            for name, opened in (("okx", okx_venue), ("bitmex", bitmex_venue))
        }
        others = [route for name, venue in self.venues.items() for route in venue.routes(name, clock)]
        control = Control(self.exchange, self.faults, clock, self.recordings)
        self._app = Starlette(routes=[*rest.routes(), *self.sockets.routes(), *others, *control.routes()])

    def server(self, on_start: Callable[[], object]) -> uvicorn.Server:
        """A uvicorn server of it, to be run with its sockets; calls `on_start` when it listens."""
        application = _Application(self._app)
        config = uvicorn.Config(
            application,
            http="h11",
            ws="websockets-sansio",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            timeout_keep_alive=60,
            timeout_graceful_shutdown=1,
        )
        application.server = _Server(config, on_start)
        return application.server

    def close(self) -> None:
        self._state.close()
        for venue in self.venues.values():
            venue.state.close()


def _state(settings: SandboxSettings, venue: str | None = None) -> State:
    """Each exchange has a file of its own, beside the one that settings name."""
    if settings.state is None:
        return State()
    path = Path(settings.state)
    return State(path if venue is None else path.with_name(f"{path.name}.{venue}"))


def _recordings(settings: SandboxSettings, state: State) -> Recordings | None:
    """The candle files settings name, played from when they were first played with this state."""
    if not isinstance(settings.source, Path | str):
        return settings.source if isinstance(settings.source, Recordings) else None
    path = Path(settings.source)
    origin = state.remember(f"origin of {path.name}", settings.clock().isoformat())
    return Recordings.load(path, datetime.fromisoformat(origin))


def _whole_source(
    source: MarketSource | Path | str | None, recordings: Recordings | None, seed: int
) -> MarketSource:
    if source is not None and not isinstance(source, Path | str):
        return source
    generated = Generator([Pair.listed(symbol) for symbol in STANDARD_SYMBOLS], seed)
    return generated if recordings is None else SeveralSources([recordings, generated])


def listening_socket(port: int = 0) -> socket.socket:
    """A socket on the loopback interface; port 0 takes a free one. Raises OSError when the port is in use."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
    except OSError:
        listener.close()
        raise
    return listener


class SandboxServer:
    """A sandbox on a thread of this process, for tests.

    >>> with SandboxServer(source=path, clock=clock) as server:
    ...     exchange = ccxt.kraken({"apiKey": ..., "secret": ..., **ccxt_urls(server.url)})
    """

    def __init__(self, port: int = 0, **settings: Any) -> None:
        self.sandbox = Sandbox(SandboxSettings(**settings))
        self._listener = listening_socket(port)
        self._started = threading.Event()
        self._server = self.sandbox.server(self._started.set)
        self._thread = threading.Thread(target=self._server.run, args=([self._listener],), daemon=True)

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def recordings(self) -> Recordings:
        """The candle files it plays, and how far they were moved in time."""
        if self.sandbox.recordings is None:
            raise LookupError("this sandbox plays no candle files")
        return self.sandbox.recordings

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._started.wait(_PATIENCE):
            raise RuntimeError(f"the sandbox did not start within {_PATIENCE:.0f} s")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join(_PATIENCE)
        self._listener.close()
        self.sandbox.close()


class _Server(uvicorn.Server):
    """Says when it listens, and by then handles signals."""

    def __init__(self, config: uvicorn.Config, on_start: Callable[[], object]) -> None:
        super().__init__(config)
        self._on_start = on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_start()


class _Application:
    """Wraps the application so that it can close a client's connection without an answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.server: uvicorn.Server | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except ConnectionLost:
            assert self.server is not None, "the server is known before it serves"
            for connection in self.server.server_state.connections:
                if isinstance(connection, _Speakers) and connection.client == scope["client"]:
                    connection.transport.abort()
            while (await receive())["type"] not in ("http.disconnect", "websocket.disconnect"):
                pass
