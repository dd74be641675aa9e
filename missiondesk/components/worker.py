"""The client library: a function becomes a component that the desk can ask to work.

    from missiondesk.components.worker import Component

    mean = Component("mean", description="the mean of a few numbers")

    @mean.handler
    def work(args, meta):
        return str(sum(args) / len(args))

    mean.run("http://127.0.0.1:4201")

What the function returns goes into the report: a text as its message, anything else as its outputs. What it
raises makes it a failure. A command that comes again, after a lost connection, is not worked on again.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import os
import random
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar
from urllib.parse import quote
from uuid import uuid4

import httpx
from pydantic import SecretStr
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from models.component import component_hash
from models.errors import InputRefused

log = logging.getLogger(__name__)

Handler = TypeVar("Handler", bound=Callable[[Any, dict[str, Any]], Any])

SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 15.0

# How many finished commands are remembered, to recognise them when they come again.
REMEMBERED = 10_000

# The desk closes connections at a frame of 1 MiB; ids and names come with each report.
LARGEST_REPORT, LONGEST_ERROR = 1_000_000, 10_000

REPLACED = "replaced by a newer connection"

_ALREADY_REGISTERED = "3005"


class Component:
    """A component of this name; `at_once` is how many commands its handler may work on side by side.

    `model_hash` tells versions apart. `input_data` holds data requirements (see docs/components.md). `token`
    is that of the desk's API, where it asks for one; by default MISSIONDESK_API_TOKEN.
    """

    def __init__(
        self,
        name: str,
        *,
        description: str = "",
        model_hash: str = "",
        input_data: Any = None,
        output_data: Any = None,
        at_once: int = 1,
        token: SecretStr | None = None,
    ) -> None:
        self.name, self.description, self.model_hash = name, description, model_hash
        self.hash = component_hash(name, description, model_hash)
        self.connections = 0
        self._input_data, self._output_data = input_data, output_data
        self._at_once = at_once
        self._token = token or SecretStr(os.environ.get("MISSIONDESK_API_TOKEN", ""))
        self._handle: Callable[[Any, dict[str, Any]], Any] | None = None
        # This run of the program: what it was sent before is sent again to it alone.
        self._instance = uuid4().hex
        self._reports: OrderedDict[str, dict[str, Any] | None] = OrderedDict()
        self._working: set[asyncio.Task[None]] = set()
        self._websocket: ClientConnection | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = threading.Event()
        self._leave = asyncio.Event()

    def handler(self, function: Handler) -> Handler:
        """Decorator of the function (args, meta) that does the work; async, or else run in a thread."""
        self._handle = function
        return function

    def run(self, *servers: str) -> None:
        """Serve until `stop`, or until another program takes this component over.

        With several servers (`http://host:port`) the next one is tried when one does not answer. Raises
        InputRefused when the desk refuses the registration.
        """
        asyncio.run(self.serve(servers))

    def stop(self) -> None:
        """End `run`, from any thread, once what is being worked on is reported."""
        self._stopped.set()
        if self._loop is not None:
            with suppress(RuntimeError):  # it ended just now
                self._loop.call_soon_threadsafe(self._leave.set)

    async def serve(self, servers: Sequence[str]) -> None:
        """`run` for a program that has its own event loop."""
        if self._handle is None:
            raise InputRefused(
                f"component {self.name!r}: expected a function decorated with @handler, got none"
            )
        if not servers:
            raise InputRefused("expected the address of a desk such as http://127.0.0.1:4201, got none")
        self._loop = asyncio.get_running_loop()
        pause, turn = SHORTEST_PAUSE_SECONDS, 0
        while not self._stopped.is_set():
            server, began = servers[turn % len(servers)].rstrip("/"), self._loop.time()
            try:
                if await self._session(server):
                    return
                pause = SHORTEST_PAUSE_SECONDS
            except (OSError, TimeoutError, httpx.TransportError, InvalidHandshake, ConnectionClosed) as error:
                log.warning("%s: %s does not answer, or no longer: %s", self.name, server, error)
                worked_for_a_while = self._loop.time() - began > LONGEST_PAUSE_SECONDS
                pause = (
                    SHORTEST_PAUSE_SECONDS if worked_for_a_while else min(pause * 2, LONGEST_PAUSE_SECONDS)
                )
            turn += 1
            await self._rest(pause * random.uniform(0.5, 1))

    async def _session(self, server: str) -> bool:
        """One connection, until it ends; True when there shall be no other."""
        await self._register(server)
        query = f"hash={self.hash}&instance={self._instance}&capacity={self._at_once}"
        headers = self._headers()
        address = f"{server.replace('http', 'ws', 1)}/websocket?{query}"
        async with connect(address, additional_headers=headers, compression=None) as websocket:
            self._websocket = websocket
            self.connections += 1
            leaving = asyncio.create_task(self._leave_when_asked(websocket))
            try:
                async for text in websocket:
                    await self._hear(str(text))
            finally:
                leaving.cancel()
                self._websocket = None
        return websocket.close_reason == REPLACED

    def _headers(self) -> dict[str, str]:
        token = self._token.get_secret_value()
        return {"Authorization": f"Bearer {token}"} if token else {}

    async def _register(self, server: str) -> None:
        given = {
            "name": self.name,
            "description": self.description,
            "modelHash": self.model_hash,
            "input_data": _as_text(self._input_data),
            "output_data": _as_text(self._output_data),
        }
        query = "&".join(f"{name}={quote(text, safe='')}" for name, text in given.items() if text)
        headers = self._headers()
        async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
            answer = await client.get(f"{server}/module/register?{query}", headers=headers)
        if answer.status_code == httpx.codes.OK:
            return
        said = answer.json() if answer.headers.get("content-type", "").startswith("application/json") else {}
        if said.get("code") == _ALREADY_REGISTERED:
            return
        if answer.is_server_error or said.get("code") == "3001":
            raise TimeoutError(f"{answer.status_code} {answer.text[:200]}")
        raise InputRefused(f"{server} refuses component {self.name!r}: {answer.text[:500]}")

    async def _hear(self, text: str) -> None:
        try:
            told = json.loads(text)
        except ValueError:
            return
        if not isinstance(told, dict) or told.get("type") != "execute":
            return
        execution_id = told["meta"]["execution_id"]
        if execution_id not in self._reports:
            self._reports[execution_id] = None
            task = asyncio.create_task(self._work(told))
            self._working.add(task)
            task.add_done_callback(self._working.discard)
        elif (report := self._reports[execution_id]) is not None:
            await self._send(report)

    async def _work(self, told: dict[str, Any]) -> None:
        meta, report = told["meta"], dict[str, Any]()
        try:
            report = _success(await self._handled(told["args"], meta))
        except Exception as error:
            log.exception("%s: command %s broke", self.name, meta["execution_id"])
            said = f"{type(error).__name__}: {error}"
            report = {"status": "failed", "error": said[:LONGEST_ERROR], "message": ""}
        report |= {
            "type": "result",
            "execution_id": meta["execution_id"],
            "workflow_id": meta["workflow_id"],
            "workflow_name": meta["workflow_name"],
            "module_name": self.name,
        }
        self._reports[meta["execution_id"]] = report
        while len(self._reports) > REMEMBERED:
            self._reports.popitem(last=False)
        await self._send(report)

    async def _handled(self, args: Any, meta: dict[str, Any]) -> Any:
        assert self._handle is not None
        if inspect.iscoroutinefunction(self._handle):
            return await self._handle(args, meta)
        return await asyncio.to_thread(self._handle, args, meta)

    async def _send(self, report: dict[str, Any]) -> None:
        """Without a connection it waits for the desk to ask again, which it does after each reconnect."""
        if self._websocket is not None:
            try:
                await self._websocket.send(json.dumps(report))
            except ConnectionClosed:
                log.info("%s: report %s waits for a connection", self.name, report["execution_id"])

    async def _leave_when_asked(self, websocket: ClientConnection) -> None:
        await self._leave.wait()
        while self._working:  # others come until the connection is closed
            await asyncio.wait(self._working)
        await websocket.close()

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._leave.wait()
        except TimeoutError:
            return


def _success(returned: Any) -> dict[str, Any]:
    """Raises InputRefused for what the desk would not take, and ValueError for what is no JSON."""
    report: dict[str, Any] = {"status": "success", "error": "", "message": ""}
    if returned is None or isinstance(returned, str):
        report["message"] = returned or ""
    else:
        report["outputs"] = returned
    size = len(json.dumps(report, allow_nan=False))
    if size > LARGEST_REPORT:
        raise InputRefused(f"expected a result of at most {LARGEST_REPORT} bytes of JSON, got {size}")
    return report


def _as_text(data: Any) -> str:
    if data is None or isinstance(data, str):
        return data or ""
    return json.dumps(data)
