"""Which events people have been told, so that none is told twice."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Engine
from sqlalchemy.dialects.postgresql import insert

from models.tables import notification


class SentNotifications:
    """Keys of events, claimed by whoever tells them first."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def claim(self, keys: Iterable[str]) -> list[str]:
        """Those of `keys` that nobody had claimed; they are claimed now."""
        wanted = [{"key": key} for key in keys]
        if not wanted:
            return []
        claimed = insert(notification).values(wanted).on_conflict_do_nothing().returning(notification.c.key)
        with self._engine.connect() as connection:
            return list(connection.scalars(claimed))
