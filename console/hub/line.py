"""One component's websocket: what is sent over it goes out in order, and what could not go out is told."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence

from starlette.websockets import WebSocket, WebSocketDisconnect

from console.hub.frames import command_frame
from missiondesk.components.switchboard import Claimed, Opened

log = logging.getLogger(__name__)

# Anything beyond this that a module does not read closes its connection.
LARGEST_BACKLOG = 2000


class Line:
    """`sent` and `unsent` are told the commands that were written to the socket, and those that were not."""

    def __init__(
        self,
        websocket: WebSocket,
        opened: Opened,
        instance: str | None,
        sent: Callable[[Claimed], None],
        unsent: Callable[[Sequence[Claimed]], None],
    ) -> None:
        self._websocket, self._sent, self._unsent = websocket, sent, unsent
        self.id, self.component_id, self.component = (
            opened.connection_id,
            opened.component_id,
            opened.component,
        )
        self.instance = instance
        self._open = True
        self._waiting: deque[Claimed | str] = deque()
        self._sending: asyncio.Task[None] | None = None

    def send_soon(self, commands: Sequence[Claimed]) -> None:
        self._put(commands)

    def answer_soon(self, text: str) -> None:
        if len(self._waiting) >= LARGEST_BACKLOG:
            self.close_soon(1008, "too many answers were not read")
        else:
            self._put([text])

    def close_soon(self, code: int, reason: str) -> None:
        """Close once what is being written is written; what still waits is told as not sent."""
        if self._open:
            self._open = False
            self._closing = asyncio.create_task(self._close(code, reason))
        self._give_back()

    def gone(self) -> None:
        """The module closed its end."""
        self._open = False
        self._give_back()

    def _put(self, items: Sequence[Claimed | str]) -> None:
        self._waiting.extend(items)
        if not self._open:
            self._give_back()
        elif self._sending is None:
            self._sending = asyncio.create_task(self._send_all())

    async def _send_all(self) -> None:
        try:
            while self._open and self._waiting:
                item = self._waiting.popleft()
                try:
                    await self._websocket.send_text(item if isinstance(item, str) else command_frame(item))
                except (WebSocketDisconnect, RuntimeError):  # refused before its first byte was written
                    self._waiting.appendleft(item)
                    self._open = False
                    break
                except Exception:  # it may have been sent, so it is left to its deadline
                    log.exception("%s: something could not be sent", self.component)
                    self.close_soon(1011, "something could not be sent")
                    break
                if not isinstance(item, str):
                    self._sent(item)
        finally:
            self._sending = None
            if not self._open:
                self._give_back()

    def _give_back(self) -> None:
        commands = [item for item in self._waiting if not isinstance(item, str)]
        self._waiting.clear()
        if commands:
            self._unsent(commands)

    async def _close(self, code: int, reason: str) -> None:
        if self._sending is not None:
            await asyncio.wait([self._sending], timeout=5)
        try:
            await self._websocket.close(code, reason)
        except (WebSocketDisconnect, RuntimeError):
            return  # the module was faster
