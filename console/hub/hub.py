"""The hub of one process: it holds components' websockets and moves their commands and reports.

What it remembers is only which sockets it holds; everything else is rows. It serves as long as its database
session lasts. When that is lost all sockets are closed, and their modules come back, here or elsewhere.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID

import asyncpg
from starlette.websockets import WebSocket

from console.hub.line import Line
from console.hub.reports import ReportWriter
from missiondesk.components.switchboard import Claimed, Opened, Switchboard, enter, sessions
from models.component import CommandKind
from models.errors import RetryLater

log = logging.getLogger(__name__)

SWEEP_SECONDS = 1.0
SEEN_SECONDS = 10.0
SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 5.0
# An app that its hub keeps waiting longer starts without it.
START_SECONDS = 2.0
MOST_INVALID = 100

DATABASE_ERRORS = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError)

# Codes of RFC 6455: the server restarts, or the policy forbids it.
RESTART, POLICY, NORMAL = 1012, 1008, 1000


class HubAway(RetryLater):
    """The database does not answer, so nobody can be connected now."""


class Hub:
    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._lines: dict[UUID, Line] = {}
        self._by_component: dict[int, set[UUID]] = {}
        self._draining: set[UUID] = set()
        # What was said of connections that may be about to be held here.
        self._opening = 0
        self._heard_early: dict[UUID, str] = {}
        self._woken: set[int] = set()
        self._unsent: list[Claimed] = []
        self._executing: set[UUID] = set()
        self._delivered: list[UUID] = []
        self._invalid: dict[str, str] = {}
        self._work = asyncio.Event()
        self._switchboard: Switchboard | None = None
        self._reports: ReportWriter | None = None

    @property
    def connected(self) -> int:
        """How many websockets this process holds."""
        return len(self._lines)

    @property
    def serving(self) -> bool:
        return self._switchboard is not None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Hub]:
        """Serve while the block lasts; at its end the sockets are closed and their modules go elsewhere."""
        tried = asyncio.Event()
        serving = asyncio.create_task(self._serve_through_losses(tried), name="hub")
        with suppress(TimeoutError):
            await asyncio.wait_for(tried.wait(), START_SECONDS)
        try:
            yield self
        finally:
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving

    async def open(
        self, websocket: WebSocket, component_hash: str, instance: str | None, room: int
    ) -> Line | None:
        """The line of an accepted websocket; None for a hash that is not registered. Raises HubAway."""
        if self._switchboard is None:
            raise HubAway("the database does not answer; connect again in a few seconds")
        self._opening += 1
        try:
            opened = await self._switchboard.open(component_hash, instance, room)
            return None if opened is None else self._hold(websocket, opened, instance)
        except DATABASE_ERRORS as error:
            raise HubAway(f"the database does not answer; connect again in a few seconds ({error})") from None
        finally:
            self._opening -= 1
            if not self._opening:
                self._heard_early.clear()

    async def close(self, line: Line, reason: str) -> None:
        """Its websocket is gone; what was sent over it and not answered stays open until its time is up."""
        self._lines.pop(line.id, None)
        self._draining.discard(line.id)
        held = self._by_component.get(line.component_id, set())
        held.discard(line.id)
        if not held:
            self._by_component.pop(line.component_id, None)
        line.gone()
        if self._switchboard is not None:
            try:
                await self._switchboard.close([line.id], reason)
            except DATABASE_ERRORS as error:
                log.warning("connection of %s not recorded as closed: %s", line.component, error)

    def tell_invalid(self, line: Line, said: str) -> None:
        """A module sent what can't be read; people are told of it with the next sweep."""
        if len(self._invalid) < MOST_INVALID:
            self._invalid[line.component] = said

    @property
    def reports(self) -> ReportWriter:
        """Raises HubAway."""
        if self._reports is None:
            raise HubAway("the database does not answer")
        return self._reports

    def _hold(self, websocket: WebSocket, opened: Opened, instance: str | None) -> Line:
        line = Line(websocket, opened, instance, self._was_sent, self._was_not_sent)
        self._lines[line.id] = line
        self._by_component.setdefault(line.component_id, set()).add(line.id)
        line.send_soon(opened.again)
        self._wake(line.component_id)
        if what := self._heard_early.get(line.id):
            self._tell(line, what)
        return line

    def _was_sent(self, command: Claimed) -> None:
        if command.kind == CommandKind.MESSAGE:
            self._delivered.append(command.execution_id)
        else:
            self._executing.add(command.connection_id)

    def _was_not_sent(self, commands: Sequence[Claimed]) -> None:
        self._unsent.extend(commands)
        self._work.set()

    def _wake(self, component_id: int) -> None:
        self._woken.add(component_id)
        self._work.set()

    async def _serve_through_losses(self, tried: asyncio.Event) -> None:
        """`tried` is set when the first attempt has succeeded or failed."""
        pause, said_so = SHORTEST_PAUSE_SECONDS, False

        def serves() -> None:
            nonlocal pause, said_so
            if said_so:
                log.warning("components are served again")
            pause, said_so = SHORTEST_PAUSE_SECONDS, False
            tried.set()

        while True:
            try:
                await self._serve(serves)
            except* DATABASE_ERRORS as errors:
                if not said_so:
                    log.warning("components are not served until the database answers: %s", _first(errors))
                said_so = True
            finally:
                self._drop_all_lines()
            tried.set()
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _serve(self, serves: Callable[[], None]) -> None:
        session = await asyncpg.connect(self._url, timeout=10, server_settings={"application_name": "hub"})
        try:
            hub_id = await enter(session)
            async with sessions(self._url) as pool:
                self._switchboard = Switchboard(pool, hub_id)
                lost = asyncio.Event()
                session.add_termination_listener(lambda _: lost.set())
                await session.add_listener("missiondesk_command", self._hear_command)
                await session.add_listener("missiondesk_connection", self._hear_connection)
                serves()
                try:
                    async with asyncio.TaskGroup() as tasks:
                        self._reports = ReportWriter(self._switchboard)
                        tasks.create_task(self._reports.write_all())
                        tasks.create_task(self._dispatch(self._switchboard))
                        tasks.create_task(self._sweep(self._switchboard))
                        tasks.create_task(self._show_presence(self._switchboard))
                        tasks.create_task(self._fail_when(lost))
                finally:
                    board, self._switchboard, self._reports = self._switchboard, None, None
                    self._drop_all_lines()
                    with suppress(*DATABASE_ERRORS):
                        await asyncio.shield(self._leave(board))
        finally:
            session.terminate()

    @staticmethod
    async def _fail_when(lost: asyncio.Event) -> None:
        await lost.wait()
        raise ConnectionError("the session ended")

    def _drop_all_lines(self) -> None:
        for line in list(self._lines.values()):
            line.close_soon(RESTART, "the server restarts; connect again")

    async def _leave(self, board: Switchboard) -> None:
        await self._take_back_unsent(board)
        await board.leave()

    async def _take_back_unsent(self, board: Switchboard) -> None:
        if self._unsent:
            unsent, self._unsent = self._unsent, []
            await board.take_back([command.execution_id for command in unsent])

    def _hear_command(self, _connection: Any, _pid: int, _channel: str, payload: object) -> None:
        component_id = int(str(payload))
        if component_id in self._by_component:
            self._wake(component_id)

    def _hear_connection(self, _connection: Any, _pid: int, _channel: str, payload: object) -> None:
        what, _, connection_id = str(payload).partition(" ")
        line = self._lines.get(UUID(connection_id))
        if line is not None:
            self._tell(line, what)
        elif self._opening:
            self._heard_early[UUID(connection_id)] = what

    def _tell(self, line: Line, what: str) -> None:
        if what == "draining":
            self._draining.add(line.id)
            self._work.set()
        elif what == "ended":
            line.close_soon(NORMAL, "replaced by a newer connection")
        else:
            line.close_soon(NORMAL, "closed by the desk")

    async def _dispatch(self, board: Switchboard) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            await self._take_back_unsent(board)
            woken, self._woken = self._woken, set()
            connections = [line_id for each in woken for line_id in self._by_component.get(each, ())]
            if connections:
                self._send(await board.claim(connections))
            await self._close_drained(board)

    def _send(self, commands: Sequence[Claimed]) -> None:
        for command in commands:
            line = self._lines.get(command.connection_id)
            if line is None:
                self._was_not_sent([command])
            else:
                line.send_soon([command])

    async def _close_drained(self, board: Switchboard) -> None:
        if self._draining:
            for line_id in await board.drained(list(self._draining)):
                if line := self._lines.get(line_id):
                    line.close_soon(NORMAL, "replaced by a newer connection")

    async def _sweep(self, board: Switchboard) -> None:
        while True:
            await board.sweep()
            for component_id in await board.overlooked():
                self._wake(component_id)
            self._work.set()
            if self._executing:
                executing, self._executing = self._executing, set()
                await board.executing(list(executing))
            if self._delivered:
                delivered, self._delivered = self._delivered, []
                await board.delivered(delivered)
            if self._invalid:
                invalid, self._invalid = self._invalid, {}
                await board.tell_invalid(invalid)
            await asyncio.sleep(SWEEP_SECONDS)

    async def _show_presence(self, board: Switchboard) -> None:
        while True:
            await asyncio.sleep(SEEN_SECONDS)
            if self._lines:
                await board.seen(list(self._lines))


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    found: BaseException = errors
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found
