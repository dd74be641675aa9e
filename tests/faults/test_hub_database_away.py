"""A hub whose database is away when it starts, comes, goes, and comes back."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from websockets.exceptions import ConnectionClosed

from missiondesk.settings import Settings
from tests.hub_desk import Hub, HubDesk, answer, frame, threaded_hub
from tests.waiting import PATIENCE_SECONDS, wait_for


class Way:
    """A socket that passes on what comes to the database's, while it is open."""

    def __init__(self, folder: Path, database_url: str) -> None:
        parts = urlsplit(database_url)
        self._real = f"{parse_qs(parts.query)['host'][0]}/.s.PGSQL.5432"
        self._socket = folder / ".s.PGSQL.5432"
        self.url = parts._replace(query=f"host={folder}").geturl()
        self.turned_away = 0
        self._passing: set[asyncio.StreamWriter] = set()
        self._is_open = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._run(asyncio.start_unix_server(self._pass_on, self._socket))

    def open(self) -> None:
        self._is_open = True

    def close(self) -> None:
        self._is_open = False
        self._run(self._cut_off())

    def end(self) -> None:
        self.close()
        self._loop.call_soon_threadsafe(self._server.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _cut_off(self) -> None:
        for writer in list(self._passing):
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._is_open:
            self.turned_away += 1
            writer.transport.abort()
            return
        real_reader, real_writer = await asyncio.open_unix_connection(self._real)
        self._passing |= {writer, real_writer}
        with suppress(OSError):
            await asyncio.gather(self._copy(reader, real_writer), self._copy(real_reader, writer))
        self._passing -= {writer, real_writer}

    @staticmethod
    async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65_536):
                sink.write(data)
                await sink.drain()
        finally:
            sink.close()


@pytest.fixture
def way(database_url: str, short_home: Path) -> Iterator[Way]:
    made = Way(short_home, database_url)
    yield made
    made.end()


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the hub said, without the reasons."""
    said = [record.getMessage() for record in caplog.records if record.name == "console.hub.hub"]
    return [line.split(":")[0] for line in said if line.startswith("components are")]


def refused_websocket(hub: Hub) -> str:
    with hub.websocket("hash=any") as module, pytest.raises(ConnectionClosed) as closed:
        module.recv(timeout=PATIENCE_SECONDS)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 1012
    return closed.value.rcvd.reason


def answers(hub: Hub) -> bool:
    return hub.http.get("/module/online").status_code == 200


def test_it_starts_at_once_says_so_once_and_serves_when_the_database_comes(
    way: Way, database_url: str, short_home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    settings = Settings.load({"MISSIONDESK_DATABASE_URL": way.url, "MISSIONDESK_HOME": str(short_home)})
    began = time.monotonic()
    with threaded_hub(settings) as hub:
        assert time.monotonic() - began < 10
        refused = hub.http.get("/module/online")
        assert (refused.status_code, refused.json()["code"], refused.json()["result"]) == (503, "3001", None)
        assert "does not answer" in refused.json()["message"]
        assert refused.headers["Retry-After"] == "5"
        assert "the database does not answer" in refused_websocket(hub)
        before = way.turned_away
        wait_for(lambda: way.turned_away > before + 2, "some attempts")
        assert told(caplog) == ["components are not served until the database answers"]

        way.open()
        wait_for(lambda: told(caplog)[-1] == "components are served again", "the hub to serve")
        desk = HubDesk(database_url)
        known = hub.register("patient")
        with hub.websocket(f"hash={known}") as module:
            given = desk.commands.give(desk.registry.find("patient").id, desk.work(1))
            assert answer(module, frame(module)) == "receive result"
            assert desk.ended(given).status == "succeeded"

            way.close()
            with pytest.raises(ConnectionClosed):
                module.recv(timeout=20)
        wait_for(lambda: len(told(caplog)) == 3, "the loss to be said")
        assert hub.http.get("/module/online").status_code == 503
        way.open()
        wait_for(lambda: len(told(caplog)) == 4 and answers(hub), "the hub to serve again")
        with hub.websocket(f"hash={known}"):
            wait_for(lambda: hub.online() == ["patient"], "the module to be online again")
        desk.engine.dispose()
    assert [re.sub(" .*", "", line.removeprefix("components are ")) for line in told(caplog)] == [
        "not",
        "served",
        "not",
        "served",
    ]
