"""The deployments of the desk's own flows. `prefect.yaml` seeds the same upkeep deployment."""

from __future__ import annotations

from deployments.missions import WORK_POOL
from deployments.spec import OWNED_TAG, DeploymentSpec, ScheduleSpec

UPKEEP = DeploymentSpec(
    key="flow:upkeep",
    flow_name="upkeep",
    name="desk",
    entrypoint="flows.upkeep.upkeep",
    parameters={},
    work_pool=WORK_POOL,
    schedules=(ScheduleSpec("5min", "*/5 * * * *", "UTC", True),),
    description="Frees leases of dead ticks and follows orders whose Missions no longer tick.",
    tags=(OWNED_TAG,),
)

TIMED = DeploymentSpec(
    key="flow:timed",
    flow_name="timed",
    name="desk",
    entrypoint="flows.timed.timed_flow",
    parameters={},
    work_pool=WORK_POOL,
    schedules=(),
    description="Runs items of timed tasks at their time; its runs are asked for when items are written.",
    tags=(OWNED_TAG,),
)

OWN_FLOWS = (UPKEEP, TIMED)
