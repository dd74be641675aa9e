"""The worker's side of one child process: start it, hand it a flow run, hear how it ended, kill it."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext, ForkServerProcess
from typing import assert_never
from uuid import UUID

from deployments.prefork.messages import Cancel, Ended, Ready, RunFlow, Stop
from deployments.prefork.registry import SharedDescriptor

SECONDS_TO_START = 120.0
SECONDS_TO_EXIT = 10.0
SECONDS_TO_CANCEL = 10.0


@dataclass(frozen=True)
class Died:
    """The child ended before its flow run did; `how` goes into the run's Crashed state."""

    how: str


class ChildFailedToStart(Exception):
    """The child was not ready in time, or ended before it was."""


class ChildProcess:
    """One forked child. It is used from the worker's event loop only."""

    def __init__(self, context: ForkServerContext, runs: int, lock: SharedDescriptor) -> None:
        # The module of `serve` is imported here by name only: it belongs to the children's memory.
        from deployments.prefork.child import serve

        self._connection, self._child_end = context.Pipe()
        self._process: ForkServerProcess = context.Process(
            target=serve, args=(self._child_end, runs, lock), name="prefork child"
        )
        self._ready: asyncio.Future[None] = asyncio.Future()
        self._ending: asyncio.Future[Ended | Died] | None = None
        self._present: UUID | None = None
        self._cancelling = False
        self._killed_because: str | None = None
        self.gone = asyncio.Event()
        self.leaving = False

    async def start(self) -> None:
        """Raises ChildFailedToStart."""
        # The first start also starts the forkserver, which imports everything.
        try:
            await asyncio.to_thread(self._process.start)
        except (OSError, EOFError) as error:
            self._connection.close()
            raise ChildFailedToStart(f"the forkserver did not answer: {error!r}") from error
        finally:
            self._child_end.close()
        loop = asyncio.get_running_loop()
        loop.add_reader(self._connection.fileno(), self._hear)
        loop.add_reader(self._process.sentinel, self._on_exit)
        try:
            await asyncio.wait_for(asyncio.shield(self._ready), SECONDS_TO_START)
        except TimeoutError:
            self.kill(f"it was not ready after {SECONDS_TO_START:.0f} s")
            await self.gone.wait()
            raise ChildFailedToStart(self.how_it_died) from None

    @property
    def pid(self) -> int | None:
        return self._process.pid

    async def run(self, order: RunFlow, timeout_seconds: float) -> Ended | Died:
        """Returns when the flow run has left the child, at the latest shortly after the timeout."""
        loop = asyncio.get_running_loop()
        if self.gone.is_set():
            return Died(self.how_it_died)
        self._present, self._ending, self._cancelling = order.flow_run_id, loop.create_future(), False
        deadline = loop.call_later(
            timeout_seconds, self.kill, f"it ran longer than timeout_seconds={timeout_seconds:g}"
        )
        try:
            self._send(order)
            ending = await self._ending
        finally:
            deadline.cancel()
            self._present = self._ending = None
        self.leaving = isinstance(ending, Ended) and ending.leaving
        if self.leaving:
            # A thread that a flow left behind could keep the process for ever.
            loop.call_later(SECONDS_TO_EXIT, self.kill, "it did not exit after its last run")
        return ending

    def cancel(self, flow_run_id: UUID) -> bool:
        """Ask the child to end that flow run as Cancelled; False when it runs another or none.

        A flow run that does not heed it in time is killed with its child.
        """
        if self._present != flow_run_id:
            return False
        if self._cancelling:
            # Prefect's engine sets Cancelling again on its way to Cancelled, which is heard here, too.
            return True
        self._cancelling = True
        self._send(Cancel(flow_run_id))
        asyncio.get_running_loop().call_later(SECONDS_TO_CANCEL, self._kill_if_still, flow_run_id)
        return True

    def kill(self, because: str) -> None:
        """Kill the child and everything its flow run started."""
        if self.gone.is_set() or self._process.pid is None:
            return
        self._killed_because = self._killed_because or because
        self._kill_group()

    async def stop(self) -> None:
        """Let the child send its logs and exit; kill it when it takes too long."""
        self.leaving = True
        self._send(Stop())
        try:
            await asyncio.wait_for(self.gone.wait(), SECONDS_TO_EXIT)
        except TimeoutError:
            self.kill("it did not stop when told to")
            await self.gone.wait()

    def _send(self, order: RunFlow | Cancel | Stop) -> None:
        # A child that is gone is noticed by its exit, not here.
        with suppress(OSError):
            self._connection.send(order)

    def _hear(self) -> None:
        try:
            while self._connection.poll():
                self._take(self._connection.recv())
        except (EOFError, OSError):
            asyncio.get_running_loop().remove_reader(self._connection.fileno())

    def _take(self, message: Ready | Ended) -> None:
        match message:
            case Ready():
                if not self._ready.done():
                    self._ready.set_result(None)
            case Ended():
                if self._ending is not None and message.flow_run_id == self._present:
                    self._ending.set_result(message)
            case _:
                assert_never(message)

    def _on_exit(self) -> None:
        loop = asyncio.get_running_loop()
        # What it said last may still be in the pipe.
        self._hear()
        loop.remove_reader(self._process.sentinel)
        loop.remove_reader(self._connection.fileno())
        # Also when only the forkserver died: a child that we no longer hear of must not go on.
        self._kill_group()
        self._connection.close()
        self._process.join(timeout=0)
        self.gone.set()
        if self._ending is not None and not self._ending.done():
            self._ending.set_result(Died(self.how_it_died))
        if not self._ready.done():
            self._ready.set_exception(ChildFailedToStart(self.how_it_died))

    def _kill_group(self) -> None:
        assert self._process.pid is not None
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with suppress(ProcessLookupError):
            self._process.kill()

    def _kill_if_still(self, flow_run_id: UUID) -> None:
        if self._present == flow_run_id:
            self.kill(f"it did not react to its cancellation within {SECONDS_TO_CANCEL:.0f} s")

    @property
    def how_it_died(self) -> str:
        if self._killed_because is not None:
            return f"its process {self.pid} was killed: {self._killed_because}"
        return f"its process {self.pid} {explain_exit(self._process.exitcode)}"


def explain_exit(code: int | None) -> str:
    """What a process's exit code says, for people."""
    match code:
        case None:
            return "ended"
        case -9:
            return "was killed by SIGKILL: kill -9, or the kernel when memory ran out"
        case -11:
            return "ended by SIGSEGV: a fault in native code"
        case _ if code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        case _:
            return f"exited with code {code}"
