"""Many modules in one program: old ones that name no instance, and ones made with the client library."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from missiondesk.components.worker import Component


class OldModule:
    """Speaks the old protocol and connects to the next server when its connection is lost."""

    def __init__(self, name: str, known: str, worked: Counter[str], work_seconds: float) -> None:
        self.name, self.hash, self._worked, self._work_seconds = name, known, worked, work_seconds

    async def serve(self, servers: Sequence[str]) -> None:
        turn = sum(map(ord, self.name))
        while True:
            address = servers[turn % len(servers)].replace("http", "ws", 1)
            turn += 1
            try:
                async with connect(f"{address}/websocket?hash={self.hash}", compression=None) as websocket:
                    async for text in websocket:
                        await self._hear(websocket, str(text))
            except (OSError, TimeoutError, ConnectionClosed, InvalidHandshake):
                await asyncio.sleep(0.1)

    async def _hear(self, websocket: Any, text: str) -> None:
        if not text.startswith("{"):
            return
        told = json.loads(text)
        if told.get("type") != "execute":
            return
        self._worked[told["meta"]["execution_id"]] += 1
        await asyncio.sleep(self._work_seconds)
        report = {"type": "result", "status": "success", "workflow_id": "", "message": str(told["args"])}
        await websocket.send(json.dumps(report))


def new_module(name: str, worked: Counter[str], work_seconds: float) -> Component:
    """Made with the client library; works on two commands at once."""
    component = Component(name, at_once=2)

    @component.handler
    async def work(args: Any, meta: dict[str, Any]) -> str:
        worked[meta["execution_id"]] += 1
        await asyncio.sleep(work_seconds)
        return str(args)

    return component


class ManyModules:
    """Serves them all until the block is left."""

    def __init__(self, modules: Sequence[OldModule | Component], servers: Sequence[str]) -> None:
        self._modules, self._servers = modules, servers
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> ManyModules:
        for index, module in enumerate(self._modules):
            turned = [
                *self._servers[index % len(self._servers) :],
                *self._servers[: index % len(self._servers)],
            ]
            self._tasks.append(asyncio.create_task(module.serve(turned)))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task
