"""Missions with all that their schedules depend on: the open Missionary, and the steps of both lists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, select

from missiondesk.store.opening import step_ids
from models import tables
from models.errors import InvalidRow
from models.mission import Mission, MissionTask, TaskId
from models.missionary import Missionary


@dataclass(frozen=True)
class ScheduledMission:
    """`tasks` holds every step of the Mission and of its open Missionary, by id."""

    mission: Mission
    missionary: Missionary | None
    tasks: Mapping[TaskId, MissionTask]
    updated_at: datetime


def scheduled_missions(
    engine: Engine, mission_ids: Iterable[int] | None = None
) -> tuple[list[ScheduledMission], dict[int, InvalidRow]]:
    """The valid Missions (all, or these), and the errors of the others by Mission id. Three statements."""
    wanted = select(tables.mission).order_by(tables.mission.c.id)
    if mission_ids is not None:
        wanted = wanted.where(tables.mission.c.id.in_(list(mission_ids)))
    walks: list[tuple[Mission, Missionary | None]] = []
    invalid: dict[int, InvalidRow] = {}
    with engine.connect() as connection:
        rows = [row._asdict() for row in connection.execute(wanted)]
        of_these = tables.missionary.c.mission_id.in_([row["id"] for row in rows])
        opened = connection.execute(
            select(tables.missionary).where(tables.missionary.c.ended_at.is_(None), of_these)
        )
        missionaries = {row.mission_id: row._asdict() for row in opened}
        for row in rows:
            open_row = missionaries.get(row["id"])
            try:
                missionary = None if open_row is None else Missionary.from_row(open_row)
                walks.append((Mission.from_row(row), missionary))
            except InvalidRow as error:
                invalid[row["id"]] = error
        ids = {task_id for walk in walks for task_id in _step_ids(*walk)}
        found = connection.execute(select(tables.task).where(tables.task.c.id.in_(ids)))
        tasks = {TaskId(row.id): row._asdict() for row in found}
    valid: list[ScheduledMission] = []
    updated_at = {row["id"]: row["updated_at"] for row in rows}
    for mission, missionary in walks:
        try:
            steps = _steps(mission, missionary, tasks)
            valid.append(ScheduledMission(mission, missionary, steps, updated_at[mission.id]))
        except InvalidRow as error:
            invalid[mission.id] = error
    return valid, invalid


def disabled_missions(engine: Engine, mission_ids: Iterable[int]) -> set[int]:
    """Those of these Missions that are off, whatever else stands in their rows."""
    off = select(tables.mission.c.id).where(
        tables.mission.c.id.in_(list(mission_ids)), tables.mission.c.enabled.is_(False)
    )
    with engine.connect() as connection:
        return set(connection.scalars(off))


def _steps(
    mission: Mission, missionary: Missionary | None, tasks: Mapping[TaskId, Mapping[str, Any]]
) -> dict[TaskId, MissionTask]:
    steps: dict[TaskId, MissionTask] = {}
    for task_id in _step_ids(mission, missionary):
        if task_id not in tasks:
            raise InvalidRow("mission", mission.name, [("task_ids", f"expected ids of tasks, got {task_id}")])
        steps[task_id] = MissionTask.from_row(tasks[task_id])
    return steps


def _step_ids(mission: Mission, missionary: Missionary | None) -> set[TaskId]:
    return {*step_ids(mission), *(step_ids(missionary) if missionary else ())}
