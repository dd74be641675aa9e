"""What is pushed to Prefect, as the `deployment` table remembers it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, delete, select, text
from sqlalchemy.dialects.postgresql import insert

from models.tables import deployment

# Held by whoever writes schedules in Prefect: one writer at a time, on any machine.
_WRITER_LOCK = "SELECT pg_advisory_lock(hashtext('missiondesk.deployments'))"
_WRITER_UNLOCK = "SELECT pg_advisory_unlock(hashtext('missiondesk.deployments'))"


class Deployments:
    """Deployment ids and spec hashes by key."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @contextmanager
    def only_writer(self) -> Iterator[None]:
        """Waits until no other process writes schedules; freed when this one dies."""
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(_WRITER_LOCK))
            try:
                yield
            finally:
                connection.execute(text(_WRITER_UNLOCK))

    def keys(self) -> dict[UUID, str]:
        """Deployment id → key."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(deployment.c.deployment_id, deployment.c.key))
            return {row.deployment_id: row.key for row in rows}

    def find(self, key: str) -> UUID | None:
        """The id of the deployment with this key, if it was pushed."""
        with self._engine.connect() as connection:
            return connection.scalar(select(deployment.c.deployment_id).where(deployment.c.key == key))

    def hashes(self) -> dict[str, str]:
        """Key → hash of the spec that was pushed."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(deployment.c.key, deployment.c.spec_hash))
            return {row.key: row.spec_hash for row in rows}

    def record(
        self,
        key: str,
        flow_name: str,
        name: str,
        deployment_id: UUID,
        spec_hash: str,
        spec: Mapping[str, Any],
    ) -> None:
        """Remember that a deployment now stands as `spec`."""
        values = {
            "flow_name": flow_name,
            "deployment_name": name,
            "deployment_id": deployment_id,
            "spec_hash": spec_hash,
            "spec": dict(spec),
            "synced_at": text("now()"),
        }
        statement = insert(deployment).values(key=key, **values)
        with self._engine.begin() as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=["key"], set_=values))

    def forget(self, deployment_id: UUID) -> None:
        """Remember that a deployment is gone."""
        with self._engine.begin() as connection:
            connection.execute(delete(deployment).where(deployment.c.deployment_id == deployment_id))
