"""Ticks per minute of the warm prefork worker and of Prefect's own process worker, for the same Mission."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import FlowRun, State
from prefect.states import Scheduled
from prefect.workers.base import BaseWorker

from benchmarks.figures import Figure
from benchmarks.rig import Rig, rig
from deployments.missions import ENTRYPOINT
from missiondesk.store.database import connect
from missiondesk.store.missions import Missions

SECONDS_TO_CREATE_A_RUN = 0.12
SECONDS_FOR_ALL = 600.0


@dataclass(frozen=True)
class Subject:
    """What is deployed and run: an entrypoint, and one set of parameters for each run."""

    entrypoint: str
    parameters: Sequence[dict[str, str]]


@dataclass(frozen=True)
class Contestant:
    """A worker type and how many ticks it is given at one instant."""

    worker_type: str
    ticks: int


PREFORK = Contestant("prefork", 120)
PROCESS = Contestant("process", 10)


def measure() -> dict[str, Figure]:
    """Takes some minutes; nothing of it remains."""
    with rig() as desk:
        subject = three_task_missions(desk, PREFORK.ticks)
        process = ticks_per_minute(desk, subject, PROCESS)
        prefork = ticks_per_minute(desk, subject, PREFORK)
    cores = os.cpu_count()
    return {
        "ticks_per_minute_prefork": Figure(
            prefork,
            "ticks/min",
            "process worker",
            f"{PREFORK.ticks} three-task ticks due at once, {cores} cores",
        ),
        "ticks_per_minute_process": Figure(
            process,
            "ticks/min",
            "prefork worker",
            f"{PROCESS.ticks} three-task ticks due at once, {cores} cores",
        ),
        "ticks_vs_process_worker": Figure(
            prefork / process,
            "times",
            "prefect worker start --type process",
            f"{prefork:.0f} against {process:.1f} three-task ticks a minute, {cores} cores",
        ),
    }


def three_task_missions(desk: Rig, count: int) -> Subject:
    """So many Missions, for each runs one tick at a time; every tick passes three Tasks and starts anew."""
    missions = Missions(connect(desk.settings.database_url.get_secret_value()), actor="benchmark")
    tasks = [
        missions.save_task(
            {"name": f"always {number}", "template": "condition_is", "params": {"condition": "always_true"}},
            lambda *_: None,
        )
        for number in (1, 2, 3)
    ]
    names = [f"bench-{number}" for number in range(count)]
    for name in names:
        missions.save({"name": name, "task_ids": [task.id for task in tasks], "repeat": True})
    return Subject(ENTRYPOINT, [{"mission": name} for name in names])


def ticks_per_minute(desk: Rig, subject: Subject, contestant: Contestant) -> float:
    """From the instant at which all are due to the end of the last one, after one tick to warm up."""
    return asyncio.run(_ticks_per_minute(desk, subject, contestant))


async def _ticks_per_minute(desk: Rig, subject: Subject, contestant: Contestant) -> float:
    pool = f"bench-{contestant.worker_type}"
    async with get_client() as client:
        await _create_pool(client, pool, contestant.worker_type)
        deployments = [
            await _deploy(client, pool, subject.entrypoint, parameters)
            for parameters in subject.parameters[: contestant.ticks]
        ]
        with desk.worker(contestant.worker_type, pool):
            await _ended(client, [await _order(client, deployments[0], datetime.now(UTC))])
            due = datetime.now(UTC) + timedelta(seconds=5 + SECONDS_TO_CREATE_A_RUN * contestant.ticks)
            runs = [await _order(client, deployment_id, due) for deployment_id in deployments]
            late = datetime.now(UTC) - due
            if late > timedelta(0):
                raise RuntimeError(
                    f"expected all runs to be created before they are due, got {late} too late"
                )
            flow_runs = await _ended(client, runs)
    seconds = max((run.end_time or due) - due for run in flow_runs).total_seconds()
    return 60 * contestant.ticks / seconds


async def _create_pool(client: PrefectClient, name: str, worker_type: str) -> None:
    worker = BaseWorker.get_worker_class_from_type(worker_type)
    assert worker is not None
    template = worker.get_default_base_job_template()
    await client.create_work_pool(WorkPoolCreate(name=name, type=worker_type, base_job_template=template))


async def _deploy(client: PrefectClient, pool: str, entrypoint: str, parameters: dict[str, str]) -> UUID:
    flow_id = await client.create_flow_from_name(parameters["mission"])
    return await client.create_deployment(
        flow_id, name=pool, entrypoint=entrypoint, parameters=parameters, work_pool_name=pool
    )


async def _order(client: PrefectClient, deployment_id: UUID, due: datetime) -> UUID:
    state: State[None] = Scheduled(scheduled_time=due)
    return (await client.create_flow_run_from_deployment(deployment_id, state=state)).id


async def _ended(client: PrefectClient, ids: Sequence[UUID]) -> list[FlowRun]:
    """The runs once all are over; raises RuntimeError unless every one of them completed."""
    async with asyncio.timeout(SECONDS_FOR_ALL):
        while True:
            runs = await client.read_flow_runs(
                flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=list(ids)))
            )
            if all(run.state is not None and run.state.is_final() for run in runs):
                break
            await asyncio.sleep(2)
    wrong = [run.state for run in runs if run.state is None or not run.state.is_completed()]
    if wrong or len(runs) != len(ids):
        raise RuntimeError(f"expected {len(ids)} completed ticks, got {len(runs)} of which {wrong} did not")
    return runs
