"""From Mission rows to the deployments that they ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deployments.run_limit import run_limit
from deployments.spec import DEFAULT_TIMEOUT_SECONDS, OWNED_TAG, DeploymentSpec, ScheduleSpec
from models.mission import Mission, MissionTask, TaskId, first_period
from models.missionary import Missionary
from models.timer import DEFAULT_PERIOD, Period, fires_as_in_utc

ENTRYPOINT = "flows.mission.mission_flow"
DEPLOYMENT_NAME = "mission"
WORK_POOL = "desk"


def mission_key(mission_id: int) -> str:
    return f"mission:{mission_id}"


def mission_spec(
    mission: Mission, missionary: Missionary | None, tasks: Mapping[TaskId, MissionTask]
) -> DeploymentSpec:
    """The deployment of one Mission; `missionary` is its open one and `tasks` hold both lists of steps."""
    return DeploymentSpec(
        key=mission_key(mission.id),
        flow_name=mission.name,
        name=DEPLOYMENT_NAME,
        entrypoint=ENTRYPOINT,
        parameters={"mission": mission.name},
        work_pool=WORK_POOL,
        schedules=_schedules(mission, missionary, tasks),
        description=_description(mission, tasks),
        tags=(OWNED_TAG, "mission", f"mode:{mission.mode}"),
        job_variables=_job_variables(mission, missionary, tasks),
    )


def _job_variables(
    mission: Mission, missionary: Missionary | None, tasks: Mapping[TaskId, MissionTask]
) -> dict[str, Any]:
    variables: dict[str, Any] = {"in_turn": True} if mission.missed_runs == "all" else {}
    limit = run_limit(mission, missionary, tasks)
    if limit > DEFAULT_TIMEOUT_SECONDS:
        variables["timeout_seconds"] = limit
    return variables


def _schedules(
    mission: Mission, missionary: Missionary | None, tasks: Mapping[TaskId, MissionTask]
) -> tuple[ScheduleSpec, ...]:
    if mission.crontab:
        return tuple(
            ScheduleSpec(f"cron-{number}", line, mission.timezone, mission.enabled)
            for number, line in enumerate(mission.crontab, 1)
        )
    current = missionary.period if missionary else _first_period(mission, tasks)
    periods = _periods(mission, missionary, tasks) | {current}
    return tuple(
        ScheduleSpec(
            period.word,
            period.cron,
            # Prefect's cron of a zone with summer time has no ticks in the hour that comes twice.
            "UTC" if fires_as_in_utc(period, mission.timezone) else mission.timezone,
            mission.enabled and period is current,
        )
        for period in sorted(periods)
    )


def _first_period(mission: Mission, tasks: Mapping[TaskId, MissionTask]) -> Period:
    target = tasks[mission.target_id] if mission.target_id is not None else None
    return first_period(tuple(tasks[task_id] for task_id in mission.task_ids), target)


def _periods(
    mission: Mission, missionary: Missionary | None, tasks: Mapping[TaskId, MissionTask]
) -> set[Period]:
    walks = (mission, missionary) if missionary else (mission,)
    ids = {task_id for walk in walks for task_id in (*walk.task_ids, walk.target_id) if task_id is not None}
    return {period for task_id in ids if (period := tasks[task_id].period) is not None} or {DEFAULT_PERIOD}


def _description(mission: Mission, tasks: Mapping[TaskId, MissionTask]) -> str:
    lines = [f"{number}. {_step(tasks[task_id])}" for number, task_id in enumerate(mission.task_ids, 1)]
    if mission.target_id is not None:
        lines.append(f"\nTarget: {_step(tasks[mission.target_id])}")
    return "\n".join([*([mission.description, ""] if mission.description else []), *lines])


def _step(task: MissionTask) -> str:
    return f"{task.name} ({task.template}{f', every {task.period}' if task.period else ''})"
