"""A fixed number of warm children, each replaced when it dies or has run enough."""

from __future__ import annotations

import asyncio
import multiprocessing
from contextlib import suppress
from uuid import UUID

from prefect.logging import get_logger

from deployments.prefork.child_process import ChildFailedToStart, ChildProcess, Died
from deployments.prefork.messages import Ended, RunFlow
from deployments.prefork.registry import SharedDescriptor

PRELOADED = "deployments.prefork.preloaded"
SHORTEST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0

_log = get_logger("workers.prefork")


class ChildPool:
    """Keeps `size` children alive between `start` and `stop`."""

    def __init__(self, size: int, runs_per_child: int, lock: SharedDescriptor) -> None:
        self._size = size
        self._runs_per_child = runs_per_child
        self._lock = lock
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([PRELOADED])
        self._children: set[ChildProcess] = set()
        self._idle: asyncio.Queue[ChildProcess | None] = asyncio.Queue()
        self._keepers: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()

    def start(self) -> None:
        """Begin to start the children; `run` waits for the first that is ready."""
        self._keepers = [asyncio.create_task(self._keep_one()) for _ in range(self._size)]

    async def run(self, order: RunFlow, timeout_seconds: float) -> Ended | Died | None:
        """Run it in a child that is free, waiting for one if need be; None when it was not begun."""
        while True:
            child = await self._idle.get()
            if child is None:
                self._idle.put_nowait(None)
                return None
            if not child.gone.is_set():
                break
        ending = await child.run(order, timeout_seconds)
        if isinstance(ending, Ended) and not ending.leaving:
            self._idle.put_nowait(child)
        return ending

    def cancel(self, flow_run_id: UUID) -> None:
        """End that flow run as Cancelled, if one of the children runs it."""
        for child in self._children:
            if child.cancel(flow_run_id):
                return

    def abandon(self, because: str) -> None:
        """Kill all children, whatever they run, and begin nothing more."""
        self._stopping.set()
        for child in self._children:
            child.kill(because)
        self._idle.put_nowait(None)

    async def stop(self) -> None:
        """Returns when no child is left."""
        self._stopping.set()
        await asyncio.gather(*(child.stop() for child in self._children))
        await asyncio.gather(*self._keepers)

    async def _keep_one(self) -> None:
        pause = SHORTEST_PAUSE_SECONDS
        while not self._stopping.is_set():
            child = ChildProcess(self._context, self._runs_per_child, self._lock)
            self._children.add(child)
            try:
                await child.start()
            except ChildFailedToStart as error:
                _log.error("A child could not start: %s. Next try in %.1f s.", error, pause)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            else:
                pause = SHORTEST_PAUSE_SECONDS
                self._idle.put_nowait(child)
                await child.gone.wait()
                if not child.leaving:
                    _log.warning("A child is gone: %s.", child.how_it_died)
            finally:
                self._children.discard(child)
