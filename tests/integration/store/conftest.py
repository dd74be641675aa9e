"""A database with its engine, and rows written into it the way users do: with plain SQL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select, text

from missiondesk.store.database import connect
from models.tables import mission, missionary, result_log, task


@dataclass
class Rows:
    engine: Engine

    def task(self, name: str, **fields: Any) -> int:
        """Insert a task; returns its id."""
        with self.engine.connect() as connection:
            row = insert(task).values(name=name, template="condition_is", **fields).returning(task.c.id)
            return connection.execute(row).scalar_one()

    def mission(self, name: str, steps: int = 0, *, target: bool = True, **fields: Any) -> int:
        """Insert a Mission with tasks `NAME-0`, `NAME-1`… and a target `NAME-target`; returns its id."""
        queue = [self.task(f"{name}-{index}") for index in range(steps)]
        target_id = self.task(f"{name}-target") if target else None
        values = {"task_ids": queue, "target_id": target_id, **fields}
        with self.engine.connect() as connection:
            row = insert(mission).values(name=name, **values).returning(mission.c.id)
            return connection.execute(row).scalar_one()

    def missionaries(self, mission_id: int) -> list[Any]:
        """All of a Mission's, oldest first."""
        query = select(missionary).where(missionary.c.mission_id == mission_id).order_by(missionary.c.id)
        with self.engine.connect() as connection:
            return list(connection.execute(query))

    def results(self, mission_id: int) -> list[str | None]:
        """How a Mission's Missionaries ended, oldest first; None for the open one."""
        return [row.result for row in self.missionaries(mission_id)]

    def logged(self, missionary_id: int) -> list[Any]:
        query = (
            select(result_log).where(result_log.c.missionary_id == missionary_id).order_by(result_log.c.id)
        )
        with self.engine.connect() as connection:
            return list(connection.execute(query))

    def enabled(self, mission_id: int) -> bool:
        with self.engine.connect() as connection:
            return bool(connection.scalar(select(mission.c.enabled).where(mission.c.id == mission_id)))

    def sql(self, statement: str, **values: Any) -> None:
        with self.engine.connect() as connection:
            connection.execute(text(statement), values)

    def connections(self, application: str) -> int:
        """How many the server has of programs of this name."""
        query = text("SELECT count(*) FROM pg_stat_activity WHERE application_name = :name")
        with self.engine.connect() as connection:
            return connection.execute(query, {"name": application}).scalar_one()

    def expire_leases(self) -> None:
        self.sql(
            "UPDATE missionary SET lease_expires_at = now() - interval '1 second' WHERE holder IS NOT NULL"
        )


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    opened = connect(database_url)
    yield opened
    opened.dispose()


@pytest.fixture
def rows(engine: Engine) -> Rows:
    return Rows(engine)
