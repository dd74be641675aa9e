"""The members of a `sequence` that passed in a Missionary, which are not tried in it again."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, exists, select
from sqlalchemy.dialects.postgresql import insert

from models.order import LeafKey
from models.tables import passed_member

# The Target has no index, and a primary key takes no null.
_INDEX_OF_TARGET = -1


class Members:
    """Implements `templates.context.Memory`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def has_passed(self, key: LeafKey) -> bool:
        columns = passed_member.c
        at_key = [columns[name] == value for name, value in _row(key).items()]
        with self._engine.connect() as connection:
            return bool(connection.scalar(select(exists().where(*at_key))))

    def remember(self, key: LeafKey) -> None:
        """Once or often: the same."""
        with self._engine.connect() as connection:
            connection.execute(insert(passed_member).values(_row(key)).on_conflict_do_nothing())


def _row(key: LeafKey) -> dict[str, Any]:
    return {
        "missionary_id": key.missionary_id,
        "role": key.role,
        "task_index": _INDEX_OF_TARGET if key.task_index is None else key.task_index,
        "leaf": key.leaf,
    }
