"""One websocket's line when sending breaks in a way that nobody foresaw."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

from console.hub.line import Line
from missiondesk.components.switchboard import Claimed, Opened


class BreakingWebSocket:
    def __init__(self) -> None:
        self.closed = asyncio.Event()
        self.sent: list[str] = []

    async def send_text(self, text: str) -> None:
        self.sent.append(text)
        raise ValueError("nobody foresaw this")

    async def close(self, code: int, reason: str) -> None:
        self.closed.set()


def test_what_waits_behind_an_item_that_breaks_is_given_back():
    connection = uuid4()
    first, second = (
        Claimed(uuid4(), connection, "execute", datetime.now(UTC), "", "", None) for _ in range(2)
    )
    sent: list[Claimed] = []
    unsent: list[Claimed] = []

    async def serve() -> None:
        websocket = BreakingWebSocket()
        line = Line(websocket, Opened(connection, 1, "module"), None, sent.append, unsent.extend)
        line.send_soon([first, second])
        await asyncio.wait_for(websocket.closed.wait(), 10)
        assert len(websocket.sent) == 1
        line.send_soon([second])

    asyncio.run(serve())
    assert (sent, unsent) == ([], [second, second])
