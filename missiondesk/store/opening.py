"""A fresh Missionary: its own copies of queue, target, mode and account, and the period it starts with."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Row, literal, select
from sqlalchemy.dialects.postgresql import insert

from missiondesk.store.lease import lease_for
from models.errors import InvalidRow
from models.mission import Mission, MissionTask, TaskId, first_period
from models.missionary import Missionary
from models.tables import mission as mission_table
from models.tables import missionary as missionary_table
from models.tables import task as task_table


def open_missionary(
    connection: Connection,
    mission: Mission,
    tasks: Mapping[TaskId, MissionTask],
    holder: str | None = None,
    lease_seconds: float = 0,
) -> Missionary | None:
    """None when the Mission is disabled, gone, or has an open Missionary by now.

    `tasks` holds those of its queue and its target. A holder gets its lease in the same statement.
    """
    queue = tuple(tasks[task_id] for task_id in mission.task_ids)
    target = None if mission.target_id is None else tasks[mission.target_id]
    copies = {
        "task_ids": list(mission.task_ids),
        "target_id": mission.target_id,
        "mode": mission.mode,
        "account": mission.account,
        "period": str(first_period(queue, target)),
        "holder": holder,
    }
    values = [literal(value, missionary_table.c[name].type).label(name) for name, value in copies.items()]
    lease = literal(None) if holder is None else lease_for(lease_seconds)
    # Everyone locks the Mission first and its Missionary second: the other order could deadlock.
    row = (
        select(mission_table.c.id, *values, lease.label("lease_expires_at"))
        .where(mission_table.c.id == mission.id, mission_table.c.enabled)
        .with_for_update(key_share=True)
    )
    opened = connection.execute(
        insert(missionary_table)
        .from_select(["mission_id", *copies, "lease_expires_at"], row)
        .on_conflict_do_nothing(
            index_elements=["mission_id"], index_where=missionary_table.c.ended_at.is_(None)
        )
        .returning(missionary_table)
    ).one_or_none()
    return None if opened is None else Missionary.from_row(opened._asdict())


def open_ahead_of_tick(connection: Connection, mission_row: Mapping[str, Any]) -> Missionary | None:
    """Open what the next tick would open, so that the schedule can follow at once.

    None where that is left to the tick: whole walks, of which each tick is one, and rows that are not valid,
    which must stop no other Mission than their own.
    """
    try:
        mission = Mission.from_row(mission_row)
        if mission.walk == "whole":
            return None
        ids = step_ids(mission)
        tasks = tasks_by_id(connection.execute(select(task_table).where(task_table.c.id.in_(ids))))
        check_steps_exist(mission, ids, tasks)
    except InvalidRow:
        return None
    return open_missionary(connection, mission, tasks)


def step_ids(walked: Mission | Missionary) -> list[TaskId]:
    """The ids of the queue, then of the target if there is one."""
    return [*walked.task_ids, *([] if walked.target_id is None else [walked.target_id])]


def tasks_by_id(rows: Iterable[Row[Any]]) -> dict[TaskId, MissionTask]:
    """Raises InvalidRow for the first row that is not valid."""
    tasks = (MissionTask.from_row(row._asdict()) for row in rows)
    return {task.id: task for task in tasks}


def check_steps_exist(mission: Mission, ids: Collection[TaskId], tasks: Mapping[TaskId, MissionTask]) -> None:
    """Raises InvalidRow, naming the Mission's field, when one of the ids has no task."""
    missing = set(ids) - set(tasks)
    if not missing:
        return
    shown = ", ".join(str(task_id) for task_id in sorted(missing))
    problems = []
    if missing & set(mission.task_ids):
        problems.append(("task_ids", f"expected ids of existing tasks, got {shown}"))
    if mission.target_id in missing:
        problems.append(("target_id", f"expected the id of an existing task, got {mission.target_id}"))
    if not problems:
        stale = (
            f"its Missionary walks tasks that are gone ({shown}): restart it, and it walks the present queue"
        )
        problems.append(("", stale))
    raise InvalidRow("mission", mission.name, problems)
