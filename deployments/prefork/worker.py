"""The Prefect worker type `prefork`."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, TypeVar

import anyio.abc
import httpx
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import WorkerFlowRunResponse
from prefect.logging import get_logger
from prefect.settings import get_current_settings
from prefect.workers.base import BaseWorker

from deployments.prefork.backlog import Backlog, DueRun
from deployments.prefork.cancellations import watch_cancellations
from deployments.prefork.configuration import PreforkJobConfiguration, PreforkResult, PreforkVariables
from deployments.prefork.flow_runs import PAGE, FlowRuns
from deployments.prefork.orphans import settle_orphans
from deployments.prefork.plans import Plans
from deployments.prefork.pool import ChildPool
from deployments.prefork.registry import LockedRecord, WorkerRegistry
from deployments.prefork.runner import Runner
from deployments.prefork.settings import WorkerSettings
from missiondesk.settings import Settings

# When more runs wait than one answer holds, those of this last while are asked for on their own.
FRESH = timedelta(minutes=1)

Result = TypeVar("Result")

_log = get_logger("workers.prefork")


@dataclass(frozen=True)
class _AtWork:
    """What a worker has between its setup and its teardown."""

    registration: LockedRecord
    flow_runs: FlowRuns
    plans: Plans
    runner: Runner
    watch: asyncio.Task[None]


class PreforkWorker(BaseWorker[PreforkJobConfiguration, PreforkVariables, PreforkResult]):
    """Polls a work pool as every Prefect worker does, and runs what is due in warm child processes.

    `limit` lowers the number of children; where markets are fed all the time, there is one more.
    """

    type = "prefork"
    job_configuration = PreforkJobConfiguration
    job_configuration_variables = PreforkVariables
    _description = "Runs flows inside warm processes that were forked with all modules in memory."

    def __init__(
        self,
        work_pool_name: str,
        work_queues: list[str] | None = None,
        name: str | None = None,
        prefetch_seconds: float | None = None,
        **options: Any,
    ) -> None:
        super().__init__(work_pool_name, work_queues, name, prefetch_seconds, **options)
        if prefetch_seconds is None:
            prefetch_seconds = get_current_settings().worker.prefetch_seconds
        self._ahead = timedelta(seconds=prefetch_seconds)
        self._pool_name = work_pool_name
        self._queue_names = work_queues or []
        self._settings = WorkerSettings.load()
        limit: int | None = options.get("limit")
        settings = Settings.load()
        # A feed holds a child for as long as it runs; ticks keep theirs.
        held = 1 if settings.feed_markets else 0
        self._size = min(self._settings.children, limit or self._settings.children) + held
        self._backlog = Backlog()
        self._run_once = False
        self._reachable = True
        self._polled_at = datetime.now(UTC)
        self._registry = WorkerRegistry(settings.home / "workers")
        self._at_work: _AtWork | None = None

    async def start(
        self,
        run_once: bool = False,
        with_healthcheck: bool = False,
        printer: Callable[..., None] = print,
    ) -> None:
        """Work until told to stop; `run_once`: poll once, run what that brought, and return."""
        self._run_once = run_once
        with _stopped_by_signals():
            await super().start(run_once, with_healthcheck, printer)

    async def setup(self) -> None:
        await super().setup()
        registration = self._registry.register(self._pool_name, self.name)
        flow_runs = FlowRuns(
            self.client, self._pool_name, self._queue_names, self.name, registration.record.token
        )
        children = ChildPool(self._size, self._settings.runs_per_child, registration.lock)
        runner = Runner(self._backlog, children, flow_runs)
        self._at_work = _AtWork(
            registration=registration,
            flow_runs=flow_runs,
            plans=Plans(self.client, lambda: self.work_pool.base_job_template),
            runner=runner,
            watch=asyncio.create_task(watch_cancellations(runner.cancel, runner.cancel_all_asked_for)),
        )
        children.start()
        runner.start(self._size)

    async def teardown(self, *exc_info: Any) -> None:
        """Let what runs end, within the grace period; what has not begun stays scheduled."""
        try:
            if self._at_work is not None:
                await self._stop(self._at_work, finish=self._run_once and not any(exc_info))
        finally:
            await super().teardown(*exc_info)

    async def sync_with_backend(self) -> None:
        await self._while_reachable(super().sync_with_backend())

    async def get_and_submit_flow_runs(self) -> list[FlowRun]:
        """Fetch what is due soon; the lanes take each run from the backlog when its time has come."""
        self._polled_at = datetime.now(UTC)
        if self._work_pool is None or self._at_work is None:
            return []
        await self._while_reachable(self._tidy_up(self._at_work))
        fetched = await self._while_reachable(self._fetch(self._at_work))
        return [run.flow_run for run in fetched or []]

    def is_worker_still_polling(self, query_interval_seconds: float) -> bool:
        return datetime.now(UTC) - self._polled_at <= timedelta(seconds=30 * query_interval_seconds)

    async def run(
        self,
        flow_run: FlowRun,
        configuration: PreforkJobConfiguration,
        task_status: anyio.abc.TaskStatus[int] | None = None,
    ) -> PreforkResult:
        """Never called for scheduled runs; what `submit` bundles needs a process of its own."""
        raise NotImplementedError(
            "expected a run of a deployment, got a bundled flow: submit it to a work pool of type process"
        )

    async def _fetch(self, at_work: _AtWork) -> list[DueRun]:
        self._backlog.poll_begins()
        now = datetime.now(UTC)
        found = await at_work.flow_runs.scheduled(before=now + self._ahead)
        if len(found) == PAGE:
            fresh = await at_work.flow_runs.scheduled(before=now + self._ahead, after=now - FRESH)
            known = {entry.flow_run.id for entry in found}
            found += [entry for entry in fresh if entry.flow_run.id not in known]
        flow_runs = list(self._spread(found))
        plans = await asyncio.gather(*(at_work.plans.of(flow_run) for flow_run in flow_runs))
        runs = [
            DueRun(flow_run, flow_run.next_scheduled_start_time or now, plan)
            for flow_run, plan in zip(flow_runs, plans, strict=True)
        ]
        self._backlog.replace(runs)
        return runs

    def _spread(self, found: Iterable[WorkerFlowRunResponse]) -> Iterator[FlowRun]:
        # Runs of one queue and instant go in an order of this worker's own, lest two workers race for each.
        for _, tied in groupby(
            found, lambda entry: (entry.work_queue_id, entry.flow_run.next_scheduled_start_time)
        ):
            yield from sorted((entry.flow_run for entry in tied), key=lambda run: hash((self.name, run.id)))

    async def _tidy_up(self, at_work: _AtWork) -> None:
        await at_work.runner.repair()
        await settle_orphans(self._registry, self._pool_name, at_work.flow_runs)

    async def _stop(self, at_work: _AtWork, *, finish: bool) -> None:
        if finish:
            await at_work.runner.finish()
        settled = await at_work.runner.drain(self._settings.grace_seconds)
        at_work.watch.cancel()
        if settled:
            at_work.registration.remove()

    async def _while_reachable(self, request: Coroutine[Any, Any, Result]) -> Result | None:
        """None when the server does not answer: Prefect's loops would end the worker after some minutes."""
        try:
            result = await request
        except httpx.HTTPError as error:
            if isinstance(error, httpx.HTTPStatusError) and error.response.status_code < 500:
                raise
            if self._reachable:
                _log.warning("Prefect's API does not answer; the worker goes on asking: %r", error)
            self._reachable = False
            return None
        self._reachable = True
        return result


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """The first SIGTERM or SIGINT cancels this task, so that the worker drains; the second ends it at once.

    Prefect's command turns SIGTERM into SIGINT, which a process started in the background may well ignore.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def stop(number: int) -> None:
        assert task is not None
        if not task.cancelling():
            _log.info("%s: draining; a second one ends the worker at once", signal.Signals(number).name)
            task.cancel()
        else:
            os.kill(os.getpid(), signal.SIGKILL)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
