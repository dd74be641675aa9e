"""A venue whose order websocket does what a test tells it: it answers in any order, twice, late or not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from queue import Queue
from types import TracebackType
from typing import Any, Self

from aiohttp import WSMsgType, web

from missiondesk.exchanges.loop_thread import LoopThread
from tests.waiting import PATIENCE_SECONDS


class SocketVenue:
    """Speaks OKX's login by itself. `requests` are all others, each an object with an `id`."""

    def __init__(self) -> None:
        self.requests: Queue[Mapping[str, Any]] = Queue()
        self.login_answer: Mapping[str, Any] | None = None
        """What a login is answered with, beside what is repeated of it; None: it is welcome."""
        self._connections: list[tuple[web.WebSocketResponse, asyncio.Transport]] = []
        self._thread = LoopThread("venue")

    def __enter__(self) -> Self:
        self.port = self._thread.begin(self._start()).result(PATIENCE_SECONDS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut()
        self._thread.begin(self._runner.cleanup()).result(PATIENCE_SECONDS)
        self._thread.stop()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def next_request(self) -> Mapping[str, Any]:
        return self.requests.get(timeout=PATIENCE_SECONDS)

    def send(self, message: Mapping[str, Any] | str) -> None:
        """To the newest connection."""
        text = message if isinstance(message, str) else json.dumps(message)
        socket, _ = self._connections[-1]
        self._thread.begin(socket.send_str(text)).result(PATIENCE_SECONDS)

    def cut(self) -> None:
        """End every connection without a goodbye."""
        self._thread.begin(self._cut()).result(PATIENCE_SECONDS)

    async def _cut(self) -> None:
        for _, transport in self._connections:
            transport.abort()
        self._connections.clear()

    async def _start(self) -> int:
        application = web.Application()
        application.router.add_get("/{path:.*}", self._serve)
        self._runner = web.AppRunner(application, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        port: int = self._runner.addresses[0][1]
        return port

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        assert request.transport is not None, "it was just prepared"
        self._connections.append((socket, request.transport))
        async for message in socket:
            if message.type != WSMsgType.TEXT:
                continue
            asked = json.loads(message.data)
            if asked["op"] == "login":
                await socket.send_str(self._answer_to_login(message.data))
            else:
                self.requests.put(asked)
        return socket

    def _answer_to_login(self, request: str) -> str:
        if self.login_answer is None:
            return json.dumps({"event": "login", "msg": "", "code": "0"})
        told = dict(self.login_answer)
        return json.dumps({"event": "error", **told, "msg": f"{told['msg']}: {request}"})
