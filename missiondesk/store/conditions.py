"""Conditions: named booleans that all Missions share."""

from __future__ import annotations

from sqlalchemy import Engine, delete, select
from sqlalchemy.dialects.postgresql import insert

from models.errors import InputRefused, UnknownName
from models.mission import ALWAYS_FALSE, ALWAYS_TRUE
from models.tables import condition


class Conditions:
    """Implements `templates.context.Conditions`. A name that does not exist is created as false."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def read(self, name: str) -> bool:
        with self._engine.connect() as connection:
            valid = connection.scalar(select(condition.c.valid).where(condition.c.name == name))
            if valid is not None:
                return bool(valid)
            # The update that changes nothing makes a row that came up meanwhile answer too.
            created = insert(condition).values(name=name, valid=False)
            unchanged = created.on_conflict_do_update(index_elements=["name"], set_={"name": name})
            return bool(connection.scalar(unchanged.returning(condition.c.valid)))

    def exists(self, name: str) -> bool:
        with self._engine.connect() as connection:
            return connection.scalar(select(condition.c.name).where(condition.c.name == name)) is not None

    def write(self, name: str, valid: bool) -> None:
        """Raises InputRefused for the two built-in ones, whose names say what they are."""
        if name in (ALWAYS_TRUE, ALWAYS_FALSE):
            raise InputRefused(f"{name} is built in and never changes: set a condition of your own")
        row = insert(condition).values(name=name, valid=valid)
        with self._engine.connect() as connection:
            connection.execute(row.on_conflict_do_update(index_elements=["name"], set_={"valid": valid}))

    def delete(self, name: str) -> None:
        """A guard that still names it makes it anew, as false. Raises InputRefused for the built-in ones."""
        if name in (ALWAYS_TRUE, ALWAYS_FALSE):
            raise InputRefused(f"{name} is built in and stays")
        with self._engine.connect() as connection:
            if connection.execute(delete(condition).where(condition.c.name == name)).rowcount == 0:
                raise UnknownName("condition", name, connection.scalars(select(condition.c.name)))

    def all(self) -> dict[str, bool]:
        """By name."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(condition.c.name, condition.c.valid).order_by(condition.c.name))
            return {row.name: row.valid for row in rows}
