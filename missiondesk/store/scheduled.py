"""Missions with all that their schedules depend on: the open Missionary, and the steps of both lists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, select

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


def scheduled_missions(
    engine: Engine, mission_ids: Iterable[int] | None = None
) -> tuple[list[ScheduledMission], dict[int, InvalidRow]]:
    """The valid Missions (all, or these), and the errors of the others by Mission id. Three statements."""
    wanted = select(tables.mission).order_by(tables.mission.c.id)
    if mission_ids is not None:
        wanted = wanted.where(tables.mission.c.id.in_(list(mission_ids)))
    with engine.connect() as connection:
        missions = [dict(row) for row in connection.execute(wanted).mappings()]
        ids = [row["id"] for row in missions]
        opened = connection.execute(
            select(tables.missionary).where(
                tables.missionary.c.ended_at.is_(None), tables.missionary.c.mission_id.in_(ids)
            )
        ).mappings()
        missionaries: dict[int, Mapping[str, Any]] = {row["mission_id"]: dict(row) for row in opened}
        task_ids = _task_ids([*missions, *missionaries.values()])
        steps = connection.execute(select(tables.task).where(tables.task.c.id.in_(task_ids))).mappings()
        tasks: dict[int, Mapping[str, Any]] = {row["id"]: dict(row) for row in steps}
    valid: list[ScheduledMission] = []
    invalid: dict[int, InvalidRow] = {}
    for row in missions:
        try:
            valid.append(_scheduled(row, missionaries.get(row["id"]), tasks))
        except InvalidRow as error:
            invalid[row["id"]] = error
    return valid, invalid


def _scheduled(
    row: Mapping[str, Any], open_row: Mapping[str, Any] | None, tasks: Mapping[int, Mapping[str, Any]]
) -> ScheduledMission:
    mission = Mission.from_row(row)
    missionary = Missionary.from_row(open_row) if open_row else None
    steps: dict[TaskId, MissionTask] = {}
    for task_id in _task_ids([row, *([open_row] if open_row else [])]):
        if task_id not in tasks:
            raise InvalidRow("mission", mission.name, [("task_ids", f"expected ids of tasks, got {task_id}")])
        steps[TaskId(task_id)] = MissionTask.from_row(tasks[task_id])
    return ScheduledMission(mission, missionary, steps)


def _task_ids(rows: Iterable[Mapping[str, Any]]) -> set[int]:
    ids = {task_id for row in rows for task_id in row["task_ids"]}
    return ids | {row["target_id"] for row in rows if row["target_id"] is not None}
