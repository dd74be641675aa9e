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

OWN_FLOWS = (UPKEEP,)
