"""The schedules as Prefect has them: listed, repaired, and one run asked for at once."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule
from prefect.exceptions import ObjectNotFound, PrefectException
from sqlalchemy import Engine, select

from deployments.missions import DEPLOYMENT_NAME
from deployments.plan import Delete, Update
from deployments.spec import OWNED_TAG
from deployments.sync import sync
from deployments.trouble import is_passing
from missiondesk.store.deployments import Deployments
from models.errors import MissiondeskError, RetryLater
from models.tables import mission
from models.timer import next_firing

log = logging.getLogger(__name__)

PAGE = 200


class PrefectAway(RetryLater):
    """Prefect's server does not answer; the tables are as they should be, and the schedules follow later."""


class NotDeployed(MissiondeskError):
    """Prefect has no deployment of this Mission, as when its row is not valid."""


@dataclass(frozen=True)
class Job:
    """One active schedule. `mission_id` is None for the desk's own flows."""

    job_id: str
    name: str
    func: str
    next_run_time: str
    trigger: str
    max_instances: int
    misfire_grace_time: float | None
    mission_id: int | None

    def as_json(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if name != "mission_id"}


@dataclass(frozen=True)
class Reloaded:
    """How many changes were made, schedules removed by them, and schedules there are now."""

    changes: int
    removed: int
    current: int


class Scheduler:
    """Blocking; must not be called from an event loop's thread. Raises PrefectAway, or what Prefect says."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def schedule_soon(self, mission_id: int) -> None:
        """Push a Mission's schedule now; when that fails, the desk's listener does it."""
        try:
            sync(self._engine, mission_ids=[mission_id])
        except (MissiondeskError, PrefectException, httpx.HTTPError, RuntimeError) as error:
            log.warning("Mission %s is not scheduled yet: %s", mission_id, error)

    def run_now(self, mission_id: int, name: str) -> str:
        """Ask for one run of a Mission; the id of the flow run. Raises NotDeployed."""
        self._reach(lambda: sync(self._engine, mission_ids=[mission_id]))
        try:
            return str(self._reach(lambda: asyncio.run(_run_now(name))))
        except ObjectNotFound:
            raise NotDeployed(f"Prefect has no deployment of Mission {name!r}: is its row valid?") from None

    def jobs(self, now: datetime) -> list[Job]:
        """By name and schedule."""
        deployments = self._reach(lambda: asyncio.run(_deployments()))
        keys = Deployments(self._engine).keys()
        with self._engine.connect() as connection:
            rows = connection.execute(select(mission.c.id, mission.c.max_lateness_seconds))
            lateness = {row.id: row.max_lateness_seconds for row in rows}
        found = []
        for deployment in deployments:
            mission_id = _mission_of(keys.get(deployment.id, ""))
            grace = lateness.get(mission_id) if mission_id is not None else None
            found += _jobs(deployment, mission_id, grace, now)
        return sorted(found, key=lambda job: (job.name, job.trigger))

    def reload(self, now: datetime) -> Reloaded:
        """A full sync: whatever differs from the tables is changed."""
        synced = self._reach(lambda: sync(self._engine))
        removed = 0
        for change in synced.changes:
            if isinstance(change, Update):
                removed += len(change.gone)
            elif isinstance(change, Delete):
                removed += 1
        return Reloaded(len(synced.changes), removed, len(self.jobs(now)))

    @staticmethod
    def _reach(call: Any) -> Any:
        try:
            return call()
        except (httpx.HTTPError, RuntimeError) as error:
            # The latter is what Prefect's client raises where it can't connect.
            if not isinstance(error, RuntimeError) and not is_passing(error):
                raise
            raise PrefectAway(f"Prefect's server does not answer, or is in trouble: {error}") from None


async def _run_now(name: str) -> str:
    async with get_client() as client:
        deployment = await client.read_deployment_by_name(f"{name}/{DEPLOYMENT_NAME}")
        run = await client.create_flow_run_from_deployment(deployment.id)
        return str(run.id)


async def _deployments() -> list[DeploymentResponse]:
    async with get_client() as client:
        return await _all_pages(client)


async def _all_pages(client: PrefectClient) -> list[DeploymentResponse]:
    owned = DeploymentFilter(tags=DeploymentFilterTags(all_=[OWNED_TAG]))
    found: list[DeploymentResponse] = []
    while True:
        page = await client.read_deployments(deployment_filter=owned, limit=PAGE, offset=len(found))
        found += page
        if len(page) < PAGE:
            return found


def _mission_of(key: str) -> int | None:
    kind, _, number = key.partition(":")
    return int(number) if kind == "mission" and number.isdigit() else None


def _jobs(
    deployment: DeploymentResponse, mission_id: int | None, grace: float | None, now: datetime
) -> list[Job]:
    name = str(deployment.parameters.get("mission", deployment.name))
    return [
        Job(
            job_id=str(each.id),
            name=name,
            func=deployment.entrypoint or "",
            next_run_time=next_firing(
                (each.schedule.cron,), now, each.schedule.timezone or "UTC"
            ).isoformat(),
            trigger=f"cron[{each.schedule.cron}] {each.schedule.timezone or 'UTC'}",
            max_instances=1,
            misfire_grace_time=grace,
            mission_id=mission_id,
        )
        for each in deployment.schedules
        if each.active and isinstance(each.schedule, CronSchedule)
    ]
