"""From the rows of `scheduled_flow` to the deployments that they ask for."""

from __future__ import annotations

from typing import Any

from prefect.exceptions import PrefectException
from prefect.flows import Flow, load_flow_from_entrypoint

from deployments.missions import WORK_POOL
from deployments.spec import OWNED_TAG, DeploymentSpec, ScheduleSpec
from models.errors import InvalidRow
from models.scheduled_flow import ScheduledFlow

DEPLOYMENT_NAME = "own"


def scheduled_flow_key(name: str) -> str:
    return f"own:{name}"


def scheduled_flow_spec(flow: ScheduledFlow) -> DeploymentSpec:
    """The deployment of one row, under a flow of the row's name."""
    return DeploymentSpec(
        key=scheduled_flow_key(flow.name),
        flow_name=flow.name,
        name=DEPLOYMENT_NAME,
        entrypoint=flow.entrypoint,
        parameters=flow.parameters,
        work_pool=WORK_POOL,
        work_queue=flow.queue,
        schedules=tuple(
            ScheduleSpec(f"cron-{number}", line, flow.timezone, flow.enabled)
            for number, line in enumerate(flow.crontab, 1)
        ),
        description=flow.description,
        tags=(OWNED_TAG, "own"),
        job_variables={} if flow.timeout_seconds is None else {"timeout_seconds": flow.timeout_seconds},
    )


def check_flow(flow: ScheduledFlow) -> None:
    """Raises InvalidRow when there is no such flow here, or when it does not take the parameters."""
    try:
        found: Flow[..., Any] = load_flow_from_entrypoint(flow.entrypoint, use_placeholder_flow=False)
    except Exception as error:
        problem = f"expected a flow that can be imported here, got {type(error).__name__}: {error}"
        raise InvalidRow("scheduled_flow", flow.name, [("entrypoint", problem)]) from error
    try:
        found.validate_parameters(flow.parameters)
    except PrefectException as error:
        problem = f"expected what {flow.entrypoint} takes, got {error}"
        raise InvalidRow("scheduled_flow", flow.name, [("parameters", problem)]) from error
