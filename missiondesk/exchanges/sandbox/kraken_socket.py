"""Kraken's websockets (v2): subscriptions to public channels, and orders, each answered on its own."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, assert_never

from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from missiondesk.exchanges.sandbox.address import PRIVATE_SOCKET, PUBLIC_SOCKET
from missiondesk.exchanges.sandbox.answering import ConnectionLost
from missiondesk.exchanges.sandbox.exchange import Exchange
from missiondesk.exchanges.sandbox.faults import Answer, Fault, Faults
from missiondesk.exchanges.sandbox.kraken_socket_orders import SocketOrders
from missiondesk.exchanges.sandbox.kraken_subscriptions import Reply, Request, Subscriptions
from missiondesk.exchanges.sandbox.kraken_words import KrakenError

_log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 0.1
_HEARTBEAT_LOOKS: Final = 10

_NO_FAULT: Final = Fault()
_STATUS: Final = {"system": "online", "api_version": "v2", "version": "2.0.10"}

CarryOut = Callable[[Request], Sequence[Reply]]


class KrakenSockets:
    """Routes over one exchange; `clock` gives unix seconds."""

    def __init__(
        self, exchange: Exchange, orders: SocketOrders, faults: Faults, clock: Callable[[], float]
    ) -> None:
        self._exchange = exchange
        self._orders = orders
        self._faults = faults
        self._clock = clock
        self.open: set[_Connection] = set()
        """The connections there are now."""

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/sandbox/sockets", self._dropped, methods=["DELETE"]),
            WebSocketRoute(PUBLIC_SOCKET, self._public),
            WebSocketRoute(PRIVATE_SOCKET, self._private),
        ]

    async def _dropped(self, request: HttpRequest) -> Response:
        """Cuts every websocket without a goodbye, as a network that fails; says how many there were."""
        for connection in self.open:
            connection.lose()
        return JSONResponse({"dropped": len(self.open)})

    async def _public(self, socket: WebSocket) -> None:
        subscriptions = Subscriptions(self._exchange.market, self._clock)
        await self._serve(socket, subscriptions.replies, subscriptions)

    async def _private(self, socket: WebSocket) -> None:
        await self._serve(socket, self._orders.replies, None)

    async def _serve(
        self, socket: WebSocket, carry_out: CarryOut, subscriptions: Subscriptions | None
    ) -> None:
        connection = _Connection(socket, carry_out, subscriptions, self._faults, self._clock)
        self.open.add(connection)
        try:
            await connection.serve()
        finally:
            self.open.discard(connection)


class _Connection:
    """One client; a slow answer to a request holds up no other."""

    def __init__(
        self,
        socket: WebSocket,
        carry_out: CarryOut,
        subscriptions: Subscriptions | None,
        faults: Faults,
        clock: Callable[[], float],
    ) -> None:
        self._socket = socket
        self._carry_out = carry_out
        self._subscriptions = subscriptions
        self._faults = faults
        self._clock = clock
        self._lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tasks: set[asyncio.Task[None]] = set()

    def lose(self) -> None:
        """Cut it without a goodbye."""
        if not self._lost.done():
            self._lost.set_result(None)

    async def serve(self) -> None:
        """Until the client leaves; raises ConnectionLost when it was cut."""
        await self._socket.accept()
        await self._send({"channel": "status", "type": "update", "data": [_STATUS]})
        work = [self._start(self._read())]
        if self._subscriptions is not None:
            work.append(self._start(self._tell(self._subscriptions)))
        try:
            await asyncio.wait([*work, self._lost], return_when=asyncio.FIRST_COMPLETED)
            for ended in work:
                if ended.done():
                    ended.result()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._lost.done():
            raise ConnectionLost

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _read(self) -> None:
        while True:
            try:
                text = await self._socket.receive_text()
            except WebSocketDisconnect:
                return
            try:
                # Amounts are decimals from their first digit to the last.
                request = json.loads(text, parse_float=Decimal)
            except ValueError:
                request = None
            if not isinstance(request, dict):
                await self._send({"error": "Malformed request", "success": False})
            else:
                self._start(self._answer(request))

    async def _answer(self, request: Request) -> None:
        method, arrived_at = str(request.get("method")), self._clock()
        named = {"req_id": request["req_id"]} if "req_id" in request else {}
        fault = self._faults.next_for(method) or _NO_FAULT
        if fault is not _NO_FAULT:
            _log.info("fault at %s: %s", method, fault)
        await asyncio.sleep(fault.wait_before)
        replies = self._carried_out(request) if fault.lets_act else []
        await asyncio.sleep(fault.wait_after)
        if fault.answer is Answer.ERROR:
            replies = [{"error": fault.error, "success": False}]
        times = {"time_in": _stamp(arrived_at), "time_out": _stamp(self._clock())}
        kind = "pong" if method == "ping" else method
        for reply in replies:
            await self._send({"method": kind, **named, **reply, **times}, fault.answer)
        if not replies:
            self.lose()

    def _carried_out(self, request: Request) -> Sequence[Reply]:
        if request.get("method") == "ping":
            return [{}]
        try:
            return self._carry_out(request)
        except KrakenError as refused:
            return [{"error": str(refused), "success": False}]

    async def _send(self, message: Mapping[str, Any], answer: Answer = Answer.INTACT) -> None:
        text = json.dumps(message, default=str)
        match answer:
            case Answer.INTACT | Answer.ERROR:
                await self._socket.send_text(text)
            case Answer.TRUNCATED:
                await self._socket.send_text(text[: len(text) // 2])
            case Answer.DROPPED | Answer.HTML | Answer.STATUS:
                # A websocket has neither pages nor codes: it is gone.
                self.lose()
            case other:
                assert_never(other)

    async def _tell(self, subscriptions: Subscriptions) -> None:
        quiet = 0
        while True:
            frames = subscriptions.frames()
            for frame in frames:
                await self._send(frame)
            quiet = 0 if frames else quiet + 1
            if subscriptions.listens and quiet >= _HEARTBEAT_LOOKS:
                await self._send({"channel": "heartbeat"})
                quiet = 0
            await asyncio.sleep(_LOOK_SECONDS)


def _stamp(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
