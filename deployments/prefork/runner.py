"""Carries each due run from the backlog through a child to its final state."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

import httpx
from prefect.client.schemas.objects import FlowRun, State
from prefect.logging import get_logger

from deployments.prefork.backlog import Backlog, DueRun
from deployments.prefork.child_process import Died
from deployments.prefork.flow_runs import FlowRuns
from deployments.prefork.messages import Ended, RunFlow
from deployments.prefork.plans import Plan, Refusal
from deployments.prefork.pool import ChildPool

# The server's record of task runs follows what happened, their flow's state does not wait for it.
SECONDS_UNTIL_RECORDED = 3.0

Tell = Callable[[], Awaitable[object]]

_log = get_logger("workers.prefork")


@dataclass(frozen=True)
class _Repair:
    """Something that the server is still to be told, from that moment of the event loop's clock on."""

    tell: Tell
    not_before: float = 0.0


class Runner:
    """As many lanes as the pool has children; a lane claims a run only when it is about to start it."""

    def __init__(self, backlog: Backlog, pool: ChildPool, flow_runs: FlowRuns) -> None:
        self._backlog = backlog
        self._pool = pool
        self._flow_runs = flow_runs
        self._lanes: list[asyncio.Task[None]] = []
        self._draining = False
        self._running: set[UUID] = set()
        self._ending_with_worker: set[UUID] = set()
        self._to_repair: dict[UUID, _Repair] = {}

    def start(self, lanes: int) -> None:
        self._lanes = [asyncio.create_task(self._lane()) for _ in range(lanes)]

    def cancel(self, flow_run_id: UUID) -> None:
        """End the run as Cancelled if it runs here."""
        if flow_run_id in self._running:
            self._pool.cancel(flow_run_id)

    async def cancel_all_asked_for(self) -> None:
        """Catch up with cancellations that went unheard."""
        if self._running:
            for flow_run_id in await self._flow_runs.cancelling(self._running):
                self.cancel(flow_run_id)

    async def repair(self) -> None:
        """Tell the server what it could not be told at once."""
        now = asyncio.get_running_loop().time()
        for flow_run_id, repair in list(self._to_repair.items()):
            if repair.not_before <= now:
                await repair.tell()
                del self._to_repair[flow_run_id]

    async def finish(self) -> None:
        """Run what waits in the backlog, then stop."""
        self._backlog.close(when_empty=True)
        await asyncio.gather(*self._lanes)
        await self._pool.stop()

    async def drain(self, grace_seconds: float) -> bool:
        """Begin nothing more, let running runs finish for that long, then kill them.

        True when every run of this worker has been settled.
        """
        self._draining = True
        self._backlog.close()
        await self._cancel_those_that_end_with_the_worker()
        if self._lanes:
            _, late = await asyncio.wait(self._lanes, timeout=grace_seconds)
            if late:
                self._pool.abandon(f"its worker was stopped and had waited {grace_seconds:g} s for it")
                await asyncio.wait(late)
        await self._pool.stop()
        try:
            if self._to_repair:
                await asyncio.sleep(SECONDS_UNTIL_RECORDED)
                await self.repair()
        except httpx.HTTPError as error:
            _log.warning("What is left to tell Prefect's API is left to the next worker: %s", error)
        return not self._to_repair

    async def _cancel_those_that_end_with_the_worker(self) -> None:
        for flow_run_id in list(self._ending_with_worker):
            with suppress(httpx.HTTPError):
                await self._flow_runs.cancel(flow_run_id, "its worker was stopped")
            self._pool.cancel(flow_run_id)

    async def _lane(self) -> None:
        while (run := await self._backlog.take()) is not None:
            try:
                await self._carry_through(run)
            except httpx.HTTPError as error:
                _log.warning("Flow run %s: Prefect's API could not be asked: %s", run.flow_run.name, error)
            except Exception:
                _log.exception("Flow run %s met an error of the worker", run.flow_run.name)
            finally:
                self._backlog.release(run)

    async def _carry_through(self, run: DueRun) -> None:
        plan = run.plan
        if isinstance(plan, Refusal):
            await self._flow_runs.refuse(run.id, plan.problem)
            return
        give_back = partial(self._give_back, run.flow_run)
        try:
            claimed = await self._flow_runs.claim(run.id)
        except httpx.HTTPError:
            self._to_repair[run.id] = _Repair(give_back)
            raise
        if not claimed:
            return
        self._to_repair.pop(run.id, None)
        match None if self._draining else await self._in_a_child(run, plan):
            case None:
                await self._surely(run.id, give_back)
            case Died(how):
                await self._surely(
                    run.id, partial(self._settle, run, plan, f"It did not end by itself: {how}")
                )
            case Ended(settled=False, problem=problem):
                message = problem or "The run was ended from outside"
                await self._surely(run.id, partial(self._settle, run, plan, message))

    async def _in_a_child(
        self, run: DueRun, plan: Plan, over: State[Any] | None = None
    ) -> Ended | Died | None:
        order = RunFlow(
            flow_run_id=run.id,
            flow_run=run.flow_run.model_dump_json(),
            entrypoint=plan.entrypoint,
            directory=plan.directory,
            environment=plan.configuration.env,
            over=over.model_dump_json() if over else None,
        )
        self._running.add(run.id)
        if plan.configuration.ends_with_worker:
            self._ending_with_worker.add(run.id)
        try:
            return await self._pool.run(order, plan.configuration.timeout_seconds)
        finally:
            self._running.discard(run.id)
            self._ending_with_worker.discard(run.id)

    async def _give_back(self, flow_run: FlowRun) -> None:
        if await self._flow_runs.is_claimed(flow_run.id):
            await self._flow_runs.give_back(flow_run)

    async def _settle(self, run: DueRun, plan: Plan, message: str) -> None:
        if (state := await self._flow_runs.settle(run.id, message)) is None:
            return
        inside = partial(self._flow_runs.settle_inside, run.id, message)
        self._to_repair[run.id] = _Repair(inside, asyncio.get_running_loop().time() + SECONDS_UNTIL_RECORDED)
        # As Prefect's own workers do it: the process in which the hooks would have run is no more.
        if isinstance(ending := await self._in_a_child(run, plan, over=state), Died):
            _log.error(
                "The hooks of flow run %s did not end by themselves: %s", run.flow_run.name, ending.how
            )

    async def _surely(self, flow_run_id: UUID, tell: Tell) -> None:
        try:
            await tell()
        except httpx.HTTPError:
            self._to_repair[flow_run_id] = _Repair(tell)
            raise
