"""Reports of many sockets, recorded together: each is answered once it is durable."""

from __future__ import annotations

import asyncio
import logging

import asyncpg

from missiondesk.components.switchboard import Report, Switchboard

log = logging.getLogger(__name__)

MOST_AT_ONCE = 500


class ReportWriter:
    """While one transaction is under way the next reports gather. Fails when the database does."""

    def __init__(self, board: Switchboard) -> None:
        self._board = board
        self._waiting: list[tuple[Report, asyncio.Future[bool]]] = []
        self._some = asyncio.Event()
        self._over = False

    async def record(self, report: Report) -> bool:
        """True once it ended a command; False when there was none to end. Raises ConnectionError."""
        if self._over:
            raise ConnectionError("the report was not recorded")
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((report, done))
        self._some.set()
        return await done

    async def write_all(self) -> None:
        """Until cancelled."""
        try:
            while True:
                await self._some.wait()
                self._some.clear()
                batch = self._take()
                await self._write(batch)
        finally:
            self._over = True
            for _, done in self._waiting:
                if not done.done():
                    done.set_exception(ConnectionError("the report was not recorded"))

    def _take(self) -> list[tuple[Report, asyncio.Future[bool]]]:
        """Of the reports without execution id one per connection: the next is for the next command."""
        batch: list[tuple[Report, asyncio.Future[bool]]] = []
        left: list[tuple[Report, asyncio.Future[bool]]] = []
        unnamed = set()
        for entry in self._waiting:
            report = entry[0]
            again = report.execution_id is None and report.connection_id in unnamed
            if again or len(batch) == MOST_AT_ONCE:
                left.append(entry)
            else:
                batch.append(entry)
                if report.execution_id is None:
                    unnamed.add(report.connection_id)
        self._waiting = left
        if left:
            self._some.set()
        return batch

    async def _write(self, batch: list[tuple[Report, asyncio.Future[bool]]]) -> None:
        try:
            ended = await self._settle([report for report, _ in batch])
        except BaseException:
            self._waiting = batch + self._waiting
            raise
        for (_, done), ending in zip(batch, ended, strict=True):
            if not done.done():
                done.set_result(ending)

    async def _settle(self, reports: list[Report]) -> list[bool]:
        while True:
            try:
                return await self._board.settle(reports)
            except asyncpg.DeadlockDetectedError as error:
                log.info("reports are recorded again: %s", error)
