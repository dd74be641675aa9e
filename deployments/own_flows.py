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

RENEW_CRONTABS = DeploymentSpec(
    key="flow:renew-crontabs",
    flow_name="renew-crontabs",
    name="desk",
    entrypoint="flows.components.renew_crontabs",
    parameters={},
    work_pool=WORK_POOL,
    schedules=(ScheduleSpec("1day", "7 0 * * *", "UTC", True),),
    description="Works out the dated crontabs of shifted workflows for the months to come.",
    tags=(OWNED_TAG,),
)

PURGE_EXECUTIONS = DeploymentSpec(
    key="flow:purge-executions",
    flow_name="purge-executions",
    name="desk",
    entrypoint="flows.components.purge_old_executions",
    parameters={},
    work_pool=WORK_POOL,
    schedules=(ScheduleSpec("mondays", "37 3 * * 1", "UTC", True),),
    description="Deletes executions of components that ended more than a week ago.",
    tags=(OWNED_TAG,),
)

PURGE_HISTORY = DeploymentSpec(
    key="flow:purge-history",
    flow_name="purge-history",
    name="desk",
    entrypoint="flows.upkeep.purge_history",
    parameters={},
    work_pool=WORK_POOL,
    schedules=(ScheduleSpec("1day", "47 3 * * *", "UTC", True),),
    description="Deletes refresh steps, timed items and prices that are older than the settings keep them.",
    tags=(OWNED_TAG,),
)

OWN_FLOWS = (UPKEEP, TIMED, RENEW_CRONTABS, PURGE_EXECUTIONS, PURGE_HISTORY)
