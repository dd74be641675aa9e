"""The ticks that a downtime of the whole desk left out, for Missions that want all that they missed.

Prefect plans a quarter of an hour ahead. Of a longer downtime it knows nothing, and begins anew from now.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterExpectedStartTime,
)
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import PrefectException
from sqlalchemy import Engine

from deployments.missions import mission_key
from missiondesk.store.deployments import Deployments
from missiondesk.store.scheduled import ScheduledMission, scheduled_missions

log = logging.getLogger(__name__)

# What is asked for at once; Prefect itself looks at a thousand instants and no further.
_SPAN = timedelta(hours=12)
_MOST_RUNS = 1000
_LONGEST = timedelta(days=31)
# The API's own page size: far more than what a new server planned while it came up.
_PAGE = 200


async def plan_missed(engine: Engine, *, down_until: datetime, now: datetime) -> None:
    """Plan the missed instants of every enabled Mission with `missed_runs` all, as far as it may be late.

    From the last instant that was planned before `down_until`, or the last change of the Mission: what it
    would have done before is not known. Idempotent: an instant that has its run gets no other.
    """
    deployments = Deployments(engine)
    missions, _ = scheduled_missions(engine)
    wanting = [each for each in missions if each.mission.enabled and each.mission.missed_runs == "all"]
    async with get_client() as client:
        for found in wanting:
            deployment_id = deployments.find(mission_key(found.mission.id))
            if deployment_id is None:
                continue
            try:
                await _plan_missed(client, deployment_id, found, down_until, now)
            except (PrefectException, httpx.HTTPError) as error:
                # The desk comes up all the same, and the others get theirs.
                log.warning("what %s missed is not planned: %s", found.mission.name, error)


async def _plan_missed(
    client: PrefectClient, deployment_id: UUID, found: ScheduledMission, down_until: datetime, now: datetime
) -> None:
    known = await _last_planned(client, deployment_id, down_until, now)
    if known is None:
        return
    patience = min(timedelta(seconds=found.mission.max_lateness_seconds), _LONGEST)
    since = max(known, found.updated_at, now - patience)
    while since < now:
        end = min(since + _SPAN, now)
        await client.request(
            "POST",
            "/deployments/{id}/schedule",
            path_params={"id": deployment_id},
            json={
                "start_time": since.isoformat(),
                "end_time": end.isoformat(),
                "min_time": _SPAN.total_seconds(),
                "max_runs": _MOST_RUNS,
            },
        )
        since = end


async def _last_planned(
    client: PrefectClient, deployment_id: UUID, before: datetime, now: datetime
) -> datetime | None:
    """The newest instant up to `now` whose run was there before `before`."""
    runs = await client.read_flow_runs(
        flow_run_filter=FlowRunFilter(
            deployment_id=FlowRunFilterDeploymentId(any_=[deployment_id]),
            expected_start_time=FlowRunFilterExpectedStartTime(before_=now),
        ),
        sort=FlowRunSort.EXPECTED_START_TIME_DESC,
        limit=_PAGE,
    )
    planned = (run.expected_start_time for run in runs if run.created is not None and run.created < before)
    return next(planned, None)
