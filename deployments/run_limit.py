"""How long a run of a Mission may last before it is taken for hung and killed. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from deployments.spec import DEFAULT_TIMEOUT_SECONDS
from missiondesk.components.gateway import OFFLINE_PATIENCE_SECONDS
from models.component import EXECUTION_SECONDS
from models.mission import Mission, MissionTask, TaskId
from models.missionary import Missionary


def run_limit(mission: Mission, missionary: Missionary | None, tasks: Mapping[TaskId, MissionTask]) -> float:
    """Seconds: the worker's own limit, and on top what the Tasks of a walk and the queue before it may take.

    `tasks` holds the steps of the Mission and of its open Missionary; the longer of both walks counts.
    """
    walks = (mission, missionary) if missionary else (mission,)
    longest = max(
        sum(_longest(tasks[step]) for step in (*walk.task_ids, walk.target_id) if step is not None)
        for walk in walks
    )
    queued = mission.max_lateness_seconds if mission.overlap == "queue" else 0
    return DEFAULT_TIMEOUT_SECONDS + longest + queued


def _longest(task: MissionTask) -> float:
    """All tries of a Task and the delays between them. What sets no time of its own counts as nothing."""
    one_try = task.timeout_seconds
    if one_try is None:
        one_try = sum(_waits_of_components({"template": task.template, "params": task.params}))
    return one_try * (task.retries + 1) + task.retry_delay_seconds * task.retries


def _waits_of_components(asked: Any) -> Iterator[float]:
    """For each component anywhere in a Task: a try waits once for its turn, and once for its report."""
    match asked:
        case {"template": "component", "params": Mapping() as params}:
            timeout = params.get("timeout_seconds", EXECUTION_SECONDS)
            if isinstance(timeout, int | float):  # what is no number is refused when the Task is tried
                yield 2 * (timeout + OFFLINE_PATIENCE_SECONDS)
        case Mapping():
            for value in asked.values():
                yield from _waits_of_components(value)
        case list():
            for value in asked:
                yield from _waits_of_components(value)
