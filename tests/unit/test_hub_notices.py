"""What a hub hears and leaves behind, without sockets and a database."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid4

from console.hub.hub import Hub
from console.hub.line import Line
from missiondesk.components.switchboard import Claimed, Opened


class Socket:
    async def send_text(self, text: str) -> None:
        raise AssertionError("nothing is sent")

    async def close(self, code: int, reason: str) -> None: ...


class Board:
    """Another process replaces each connection before its opening is known here."""

    def __init__(self, hub: Hub, notice: str) -> None:
        self._hub, self._notice = hub, notice
        self.done: list[str | Sequence[UUID]] = []

    async def open(self, component_hash: str, instance: str | None, capacity: int) -> Opened:
        opened = uuid4()
        self._hub._hear_connection(None, 0, "", f"{self._notice} {opened}")
        return Opened(opened, 1, "module")

    async def take_back(self, execution_ids: Sequence[UUID]) -> None:
        self.done.append(execution_ids)

    async def leave(self) -> None:
        self.done.append("left")


async def opened(hub: Hub, notice: str) -> Line:
    hub._switchboard = Board(hub, notice)
    line = await hub.open(Socket(), "hash", None, 1)
    assert line is not None
    return line


def test_a_notice_that_comes_before_its_connection_is_known_is_heard():
    async def serve() -> None:
        hub = Hub("")
        line = await opened(hub, "draining")
        assert hub._draining == {line.id}
        assert not (await opened(hub, "ended"))._open
        hub._hear_connection(None, 0, "", f"draining {uuid4()}")
        assert hub._heard_early == {}, "one of another process"

    asyncio.run(serve())


def test_what_was_claimed_and_not_sent_goes_back_when_the_process_stops():
    async def serve() -> None:
        hub = Hub("")
        line = await opened(hub, "draining")
        board = hub._switchboard
        command = Claimed(uuid4(), line.id, "execute", datetime.now(UTC), "", "", None)
        line.send_soon([command])
        hub._drop_all_lines()
        await hub._leave(board)
        assert board.done == [[command.execution_id], "left"]

    asyncio.run(serve())
