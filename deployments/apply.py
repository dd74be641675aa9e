"""Makes planned changes in Prefect: few calls side by side, and no due instant lost on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, assert_never
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import (
    DeploymentScheduleCreate,
    DeploymentScheduleUpdate,
    DeploymentUpdate,
)
from prefect.client.schemas.schedules import CronSchedule
from prefect.exceptions import ObjectNotFound

from deployments.plan import Change, Create, Delete, Update
from deployments.spec import DeploymentSpec, ScheduleSpec
from deployments.trouble import is_passing
from models.timer import next_firing

# Measured: more than four calls at once gain nothing from one Prefect server process.
CALLS_AT_ONCE = 4

# Prefect deletes future runs with every change and makes new ones from "now" a loop later: a due instant
# between the two would be lost. The runs of this span are made by us, under the scheduler's own keys.
BRIDGED = timedelta(seconds=4)


@dataclass(frozen=True)
class NotMade:
    """A change that Prefect, or its client, did not take. `passing`: the same may well be taken later."""

    change: Change
    error: Exception

    @property
    def passing(self) -> bool:
        return is_passing(self.error)

    def __str__(self) -> str:
        return f"{self.change.flow_name}: {type(self.error).__name__}: {self.error}"


class Applier:
    """Applies changes one by one or side by side. `recorded` is told each deployment that now stands.

    `parameter_schema` gives the JSON Schema of an entrypoint's parameters.
    """

    def __init__(
        self,
        client: PrefectClient,
        *,
        recorded: Callable[[DeploymentSpec, UUID], None],
        removed: Callable[[UUID], None],
        parameter_schema: Callable[[str], dict[str, Any]],
    ) -> None:
        self._client, self._recorded, self._removed = client, recorded, removed
        self._parameter_schema = parameter_schema
        self._at_once = asyncio.Semaphore(CALLS_AT_ONCE)

    async def apply(self, changes: Sequence[Change]) -> list[NotMade]:
        """The changes that could not be made: each stands for itself, and keeps no other from being made.

        Deletions come first, so that a renamed Mission does not stand under two flows.
        """
        not_made: list[NotMade] = []
        deletions = [change for change in changes if isinstance(change, Delete)]
        others = [change for change in changes if not isinstance(change, Delete)]
        for group in (deletions, others):
            made = await asyncio.gather(*(self._try(change) for change in group))
            not_made += [each for each in made if each is not None]
        return not_made

    async def _try(self, change: Change) -> NotMade | None:
        try:
            await self._apply(change)
        except Exception as error:
            return NotMade(change, error)
        return None

    async def _apply(self, change: Change) -> None:
        async with self._at_once:
            match change:
                case Create(spec):
                    await self._create(spec)
                case Update():
                    await self._update(change)
                case Delete(_, deployment_id):
                    await self._delete(deployment_id)
                case _:
                    assert_never(change)

    async def _create(self, spec: DeploymentSpec) -> None:
        begun = datetime.now(UTC)
        flow_id = await self._client.create_flow_from_name(spec.flow_name)
        deployment_id = await self._client.create_deployment(
            flow_id=flow_id,
            name=spec.name,
            entrypoint=spec.entrypoint,
            parameters=spec.parameters,
            description=spec.description,
            tags=list(spec.tags),
            work_pool_name=spec.work_pool,
            work_queue_name=spec.work_queue,
            job_variables=spec.job_variables,
            parameter_openapi_schema=self._parameter_schema(spec.entrypoint),
            enforce_parameter_schema=True,
            paused=spec.paused,
            schedules=[
                DeploymentScheduleCreate(schedule=_cron(each), active=each.active, slug=each.slug)
                for each in spec.schedules
            ],
        )
        await self._bridge(deployment_id, spec, begun)
        self._recorded(spec, deployment_id)

    async def _update(self, change: Update) -> None:
        spec, begun = change.spec, datetime.now(UTC)
        for schedule_id in change.gone:
            await self._client.delete_deployment_schedule(change.deployment_id, schedule_id)
        fields = {_API_NAMES.get(name, name): getattr(spec, name) for name in change.fields}
        if "work_pool_name" in fields or "work_queue_name" in fields:
            fields |= {"work_pool_name": spec.work_pool, "work_queue_name": spec.work_queue}
        schedules = [
            DeploymentScheduleUpdate(slug=each.slug, schedule=_cron(each), active=each.active)
            for each in change.schedules
        ]
        await self._client.update_deployment(
            change.deployment_id, DeploymentUpdate(schedules=schedules, **fields)
        )
        await self._bridge(change.deployment_id, spec, begun)
        self._recorded(spec, change.deployment_id)

    async def _delete(self, deployment_id: UUID) -> None:
        with suppress(ObjectNotFound):  # someone deleted it in the UI: what we want
            await self._client.delete_deployment(deployment_id)
        self._removed(deployment_id)

    async def _bridge(self, deployment_id: UUID, spec: DeploymentSpec, begun: datetime) -> None:
        active = [schedule for schedule in spec.schedules if schedule.active]
        until = datetime.now(UTC) + BRIDGED
        if any(next_firing((each.cron,), begun, each.timezone) <= until for each in active):
            await self._client.request(
                "POST",
                "/deployments/{id}/schedule",
                path_params={"id": deployment_id},
                json={"start_time": begun.isoformat(), "end_time": until.isoformat()},
            )


_API_NAMES = {"work_pool": "work_pool_name", "work_queue": "work_queue_name"}


def _cron(schedule: ScheduleSpec) -> CronSchedule:
    return CronSchedule(cron=schedule.cron, timezone=schedule.timezone)
