"""Carries each due run from the backlog through a child to its final state."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import UUID

import httpx
from prefect.logging import get_logger

from deployments.prefork.backlog import Backlog, DueRun
from deployments.prefork.child_process import Died
from deployments.prefork.flow_runs import FlowRuns
from deployments.prefork.messages import Ended, RunFlow
from deployments.prefork.missed_runs import is_missed, reason_to_skip
from deployments.prefork.plans import Plan, Refusal
from deployments.prefork.pool import ChildPool

_log = get_logger("workers.prefork")


class Runner:
    """As many lanes as the pool has children; a lane claims a run only when it is about to start it."""

    def __init__(self, backlog: Backlog, pool: ChildPool, flow_runs: FlowRuns) -> None:
        self._backlog = backlog
        self._pool = pool
        self._flow_runs = flow_runs
        self._lanes: list[asyncio.Task[None]] = []
        self._draining = False
        self._running: set[UUID] = set()
        self._unsettled: dict[UUID, str] = {}

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

    async def settle_again(self) -> None:
        """Try once more to report the ends that could not be reported."""
        for flow_run_id, message in list(self._unsettled.items()):
            await self._flow_runs.settle(flow_run_id, message)
            del self._unsettled[flow_run_id]

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
        if self._lanes:
            _, late = await asyncio.wait(self._lanes, timeout=grace_seconds)
            if late:
                self._pool.abandon(f"its worker was stopped and had waited {grace_seconds:g} s for it")
                await asyncio.wait(late)
        await self._pool.stop()
        return not self._unsettled

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
        if (reason := await self._reason_to_skip(run, plan)) is not None:
            await self._flow_runs.skip(run.id, reason)
            return
        if not await self._flow_runs.claim(run.id):
            return
        ending = None
        if not self._draining:
            ending = await self._in_a_child(run, plan)
        match ending:
            case None:
                await self._flow_runs.give_back(run.flow_run)
            case Died():
                await self._settle(run.id, f"The run did not end by itself: {ending.how}")
            case Ended(settled=False):
                await self._settle(run.id, ending.problem or "The run was cancelled")

    async def _in_a_child(self, run: DueRun, plan: Plan) -> Ended | Died | None:
        order = RunFlow(
            flow_run_id=run.id,
            flow_run=run.flow_run.model_dump_json(),
            entrypoint=plan.entrypoint,
            directory=plan.directory,
            environment=plan.configuration.env,
        )
        self._running.add(run.id)
        try:
            return await self._pool.run(order, plan.configuration.timeout_seconds)
        finally:
            self._running.discard(run.id)

    async def _settle(self, flow_run_id: UUID, message: str) -> None:
        try:
            await self._flow_runs.settle(flow_run_id, message)
        except httpx.HTTPError:
            self._unsettled[flow_run_id] = message
            raise

    async def _reason_to_skip(self, run: DueRun, plan: Plan) -> str | None:
        if not run.flow_run.auto_scheduled:
            return None
        now = datetime.now(UTC)
        newer_due = self._backlog.holds_newer(run, now)
        if not newer_due and not self._backlog.complete and is_missed(run.due, now):
            newer_due = await self._flow_runs.newer_is_due(run.flow_run, run.due, now)
        return reason_to_skip(
            due=run.due,
            now=now,
            newer_due=newer_due,
            missed_runs=plan.configuration.missed_runs,
            max_lateness=plan.configuration.max_lateness,
        )
