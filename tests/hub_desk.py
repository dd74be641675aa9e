"""Hubs for tests, in a thread or as processes of their own, and a client that knows only the old protocol."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from datetime import UTC, datetime
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

import httpx
import uvicorn
from sqlalchemy import Engine, text
from websockets.sync.client import ClientConnection, connect

from console.hub.server import UVICORN_OPTIONS, create_hub_app
from missiondesk.components.commands import Commands
from missiondesk.components.registry import Registry
from missiondesk.settings import Settings
from missiondesk.store.database import connect as connect_database
from models.component import Outcome, Work
from tests.waiting import wait_for

PATIENCE_SECONDS = 30.0


class HubDesk:
    """The database behind the hubs, as programs use it."""

    def __init__(self, database_url: str) -> None:
        self.url = database_url
        self.engine: Engine = connect_database(database_url)
        self.registry = Registry(self.engine)
        self.commands = Commands(self.engine, database_url)

    def work(self, args: Any = None, **given: Any) -> Work:
        return Work(args, datetime(2024, 1, 1, tzinfo=UTC), **given)

    def ended(self, execution_id: UUID, seconds: float = PATIENCE_SECONDS) -> Outcome:
        outcome = self.commands.wait(execution_id, seconds)
        assert outcome.status.final, outcome
        return outcome

    def rows(self, statement: str, **given: Any) -> list[Any]:
        with self.engine.connect() as connection:
            return list(connection.execute(text(statement), given))


class Hub:
    """One hub, seen from outside."""

    def __init__(self, address: str, token: str | None = None) -> None:
        self.address = address
        self.headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self.http = httpx.Client(base_url=address, headers=self.headers, timeout=30)

    def register(self, name: str, **given: str) -> str:
        """The hash of a new module."""
        answer = self.http.get("/module/register", params={"name": name, **given})
        assert answer.status_code == 200, answer.text
        return answer.json()["result"]["hash"]

    def websocket(self, query: str, **given: Any) -> ClientConnection:
        address = self.address.replace("http", "ws", 1)
        return connect(f"{address}/websocket?{query}", additional_headers=self.headers, **given)

    def online(self) -> list[str]:
        return [row["name"] for row in self.http.get("/module/online").json()["result"]]


@contextmanager
def threaded_hub(settings: Settings) -> Iterator[Hub]:
    """A hub in a thread of this process."""
    server = uvicorn.Server(
        uvicorn.Config(create_hub_app(settings), host="127.0.0.1", port=0, **UVICORN_OPTIONS)
    )
    thread = threading.Thread(target=copy_context().run, args=(server.run,), daemon=True)
    thread.start()
    wait_for(lambda: server.started, "the hub to start")
    port = server.servers[0].sockets[0].getsockname()[1]
    token = settings.given_api_token
    hub = Hub(f"http://127.0.0.1:{port}", None if token is None else token.get_secret_value())
    try:
        yield hub
    finally:
        hub.http.close()
        server.should_exit = True
        thread.join(30)


@contextmanager
def hub_process(database_url: str, home: str) -> Iterator[tuple[Hub, subprocess.Popen[str]]]:
    """A hub as a process of its own."""
    environment = {**os.environ, "MISSIONDESK_DATABASE_URL": database_url, "MISSIONDESK_HOME": home}
    process = subprocess.Popen(
        [sys.executable, "-m", "console.hub"], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    hub = Hub(process.stdout.readline().strip())
    wait_for(lambda: _answers(hub), "the hub to answer")
    try:
        yield hub, process
    finally:
        hub.http.close()
        process.terminate()
        process.wait(30)
        process.stdout.close()


def _answers(hub: Hub) -> bool:
    try:
        return hub.http.get("/module/online").status_code == 200
    except httpx.TransportError:
        return False


def frame(websocket: ClientConnection, seconds: float = PATIENCE_SECONDS) -> dict[str, Any]:
    """The next command."""
    came = _CAME_FIRST.get(websocket)
    return json.loads(came.popleft() if came else websocket.recv(timeout=seconds))


def answer(websocket: ClientConnection, execute: dict[str, Any], status: str = "success", **more: Any) -> str:
    """Report as an old module does; what the hub said to it."""
    meta = execute["meta"]
    report = {
        "type": "result",
        "status": status,
        "workflow_id": meta["workflow_id"],
        "workflow_name": meta["workflow_name"],
        "module_name": "module",
        "error": "",
        "message": "",
        **more,
    }
    websocket.send(json.dumps(report))
    while (said := websocket.recv(timeout=PATIENCE_SECONDS)).startswith("{"):
        _CAME_FIRST.setdefault(websocket, deque()).append(said)
    return said


# The next command may be on its way before the hub has answered a report.
_CAME_FIRST: WeakKeyDictionary[ClientConnection, deque[str]] = WeakKeyDictionary()
