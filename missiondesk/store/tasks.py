"""Tasks as rows of their own: listed, found, created and deleted. Missions walk them by id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Engine, delete, func, or_, select

from missiondesk.store.database import transaction
from missiondesk.store.saving import CheckTask, save_task
from models.errors import InputRefused, UnknownName
from models.mission import MissionTask
from models.tables import mission, missionary, task


class Tasks:
    """`actor` is whom the audit names for what is written here; None: the database's user."""

    def __init__(self, engine: Engine, actor: str | None = None) -> None:
        self._engine, self._actor = engine, actor

    def rows(self) -> list[Mapping[str, Any]]:
        """By name, not validated."""
        with self._engine.connect() as connection:
            return [row._asdict() for row in connection.execute(select(task).order_by(task.c.name))]

    def row(self, name_or_id: str | int) -> Mapping[str, Any]:
        """As it stands, not validated. Raises UnknownName with the names that exist."""
        with self._engine.connect() as connection:
            return _find(connection, name_or_id)

    def create(self, fields: Mapping[str, Any], check: CheckTask) -> MissionTask:
        """Insert a Task. Raises InvalidRow for what is not valid, also for a name that is taken."""
        with transaction(self._engine, self._actor) as connection:
            return save_task(connection, fields, check, new=True)

    def change(self, name_or_id: str | int, fields: Mapping[str, Any], check: CheckTask) -> MissionTask:
        """Raises UnknownName, and InvalidRow for what would not be valid; nothing is written then.

        Raises InputRefused for another name while a guard has the present one.
        """
        with transaction(self._engine, self._actor) as connection:
            found = _find(connection, name_or_id, lock=True)
            if fields.get("name", found["name"]) != found["name"]:
                _refuse_while_guarding(connection, found["name"])
            return save_task(connection, {**fields, "id": found["id"]}, check)

    def delete(self, name_or_id: str | int) -> None:
        """Raises UnknownName, and InputRefused, naming the Missions, while any walks it or guards with it."""
        with transaction(self._engine, self._actor) as connection:
            found = _find(connection, name_or_id, lock=True)
            if walkers := _walkers(connection, found["id"]):
                raise InputRefused(
                    f"the Missions {', '.join(walkers)} walk the task {found['name']!r}: "
                    "take it off their lists, and restart those that walk it now"
                )
            _refuse_while_guarding(connection, found["name"])
            connection.execute(delete(task).where(task.c.id == found["id"]))


def _find(connection: Connection, name_or_id: str | int, *, lock: bool = False) -> Mapping[str, Any]:
    column = task.c.name if isinstance(name_or_id, str) else task.c.id
    query = select(task).where(column == name_or_id)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise UnknownName("task", name_or_id, connection.scalars(select(task.c.name)))
    return row._asdict()


def _refuse_while_guarding(connection: Connection, name: str) -> None:
    """Without the Task, a guard of that name would be a Condition."""
    guards = (mission.c.can_run_before_each_task, mission.c.can_run_before_aim)
    names_it = or_(*(func.regexp_replace(guard, r"^\s*!?\s*|\s*$", "", "g") == name for guard in guards))
    missions = connection.scalars(select(mission.c.name).where(names_it).order_by(mission.c.name)).all()
    if missions:
        raise InputRefused(
            f"guards of the Missions {', '.join(missions)} name the task {name!r}: "
            "give them another guard first"
        )


def _walkers(connection: Connection, task_id: int) -> list[str]:
    """The names of the Missions with this Task on their own list, or on their open Missionary's copy."""
    still_open = (missionary.c.mission_id == mission.c.id) & missionary.c.ended_at.is_(None)
    on_a_list = [
        on_list
        for walked in (mission, missionary)
        for on_list in (walked.c.task_ids.any(task_id), walked.c.target_id == task_id)
    ]
    query = select(mission.c.name).distinct().select_from(mission.outerjoin(missionary, still_open))
    return list(connection.scalars(query.where(or_(*on_a_list)).order_by(mission.c.name)))
