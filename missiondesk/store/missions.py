"""Missions and their tasks as rows: read with validation, saved with validation, enabled and disabled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Engine, delete, select, update

from missiondesk.store.database import transaction
from missiondesk.store.opening import open_ahead_of_tick, tasks_by_id
from missiondesk.store.saving import CheckTask, save_mission, save_task
from missiondesk.store.scheduled import scheduled_missions
from models.errors import InvalidRow, UnknownName
from models.mission import Mission, MissionId, MissionTask, TaskId
from models.missionary import Missionary
from models.tables import mission, task


def find_mission_row(
    connection: Connection, name_or_id: str | int, *, lock: bool = False
) -> Mapping[str, Any]:
    """The row as it stands, not validated. Raises UnknownName with the names that exist."""
    column = mission.c.name if isinstance(name_or_id, str) else mission.c.id
    query = select(mission).where(column == name_or_id)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise UnknownName("mission", name_or_id, connection.scalars(select(mission.c.name)))
    return row._asdict()


class Missions:
    """`actor` is whom the audit names for what is written here; None: the database's user."""

    def __init__(self, engine: Engine, actor: str | None = None) -> None:
        self._engine, self._actor = engine, actor

    def names(self) -> list[str]:
        with self._engine.connect() as connection:
            return list(connection.scalars(select(mission.c.name).order_by(mission.c.name)))

    def get(self, name_or_id: str | int) -> Mission:
        """Raises UnknownName with the names that exist, InvalidRow for a row that is not valid."""
        with self._engine.connect() as connection:
            return Mission.from_row(find_mission_row(connection, name_or_id))

    def all(self) -> list[Mission]:
        """By name. Raises InvalidRow for the first row that is not valid; `load_all` goes on."""
        return [Mission.from_row(row) for row in self.rows()]

    def rows(self) -> list[Mapping[str, Any]]:
        """By name, not validated."""
        with self._engine.connect() as connection:
            return [row._asdict() for row in connection.execute(select(mission).order_by(mission.c.name))]

    def load_all(self) -> tuple[list[Mission], list[InvalidRow]]:
        """By name: those that are valid, and what is wrong with the others."""
        missions, invalid = [], []
        for row in self.rows():
            try:
                missions.append(Mission.from_row(row))
            except InvalidRow as error:
                invalid.append(error)
        return missions, invalid

    def available_ids(self) -> list[MissionId]:
        """The ids of the enabled Missions."""
        with self._engine.connect() as connection:
            return list(
                connection.scalars(select(mission.c.id).where(mission.c.enabled).order_by(mission.c.id))
            )

    def available_pairs(self) -> list[tuple[Mission, Missionary]]:
        """Each enabled Mission that has an open Missionary, with it; rows that are not valid are left out."""
        scheduled, _ = scheduled_missions(self._engine)
        return [
            (found.mission, found.missionary)
            for found in scheduled
            if found.mission.enabled and found.missionary is not None
        ]

    def tasks_of(self, ids: Iterable[int]) -> dict[TaskId, MissionTask]:
        """Those that exist, by id. Raises InvalidRow for the first row that is not valid."""
        with self._engine.connect() as connection:
            return tasks_by_id(connection.execute(select(task).where(task.c.id.in_(set(ids)))))

    def save(self, fields: Mapping[str, Any]) -> Mission:
        """Change these fields of the Mission with this `id`, else with this `name`; without one, insert it.

        Raises InvalidRow with a problem for each field that is not valid, and has then written nothing;
        UnknownName for an `id` that does not exist.
        """
        with transaction(self._engine, self._actor) as connection:
            return save_mission(connection, fields)

    def create(self, fields: Mapping[str, Any]) -> Mission:
        """Insert a Mission. Raises InvalidRow as `save` does, also for a name that is taken."""
        with transaction(self._engine, self._actor) as connection:
            return save_mission(connection, fields, new=True)

    def save_task(self, fields: Mapping[str, Any], check: CheckTask) -> MissionTask:
        """The same for a task. `check` raises InputRefused when template or params are not valid."""
        with transaction(self._engine, self._actor) as connection:
            return save_task(connection, fields, check)

    def enable(self, name_or_id: str | int) -> None:
        """Enable it with a fresh Missionary, unless its old one has traded: then that one goes on."""
        with transaction(self._engine, self._actor) as connection:
            row = find_mission_row(connection, name_or_id, lock=True)
            connection.execute(update(mission).where(mission.c.id == row["id"]).values(enabled=True))
            open_ahead_of_tick(connection, row)

    def disable(self, name_or_id: str | int) -> None:
        """Its Missionary stays open; no tick of it begins and the order gateway refuses its new orders."""
        with transaction(self._engine, self._actor) as connection:
            row = find_mission_row(connection, name_or_id, lock=True)
            connection.execute(update(mission).where(mission.c.id == row["id"]).values(enabled=False))

    def delete(self, name_or_id: str | int) -> None:
        """Delete it with its Missionaries; what they logged and ordered stays."""
        with transaction(self._engine, self._actor) as connection:
            row = find_mission_row(connection, name_or_id, lock=True)
            connection.execute(delete(mission).where(mission.c.id == row["id"]))
