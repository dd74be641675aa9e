"""What components were asked to do and what became of it, newest first."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Engine, Select, select

from missiondesk.components.registry import find_component
from missiondesk.components.texts import storable
from models.component import CommandKind, CommandStatus
from models.component_tables import component, component_command


class Execution(BaseModel):
    """One command. `id` grows with the order in which commands were given; the instants are aware."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    id: int
    execution_id: UUID
    component_id: int
    component: str
    workflow_id: str
    workflow_name: str
    status: CommandStatus
    execution_time: datetime
    created_at: datetime
    sent_at: datetime | None
    finished_at: datetime | None
    error: str
    message: str


_COLUMNS = component_command.c
_EXECUTIONS: Select[Any] = (
    select(
        _COLUMNS.sequence.label("id"),
        _COLUMNS.id.label("execution_id"),
        component.c.id.label("component_id"),
        component.c.name.label("component"),
        *(_COLUMNS[name] for name in Execution.model_fields if name in _COLUMNS and name != "id"),
    )
    .join(component, component.c.id == _COLUMNS.component_id)
    .where(_COLUMNS.kind == CommandKind.EXECUTE)
    .order_by(_COLUMNS.sequence.desc())
)


class Executions:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def page(
        self,
        size: int,
        *,
        before: int | None = None,
        component: str | int | None = None,
        workflow_id: str | None = None,
        status: CommandStatus | None = None,
    ) -> list[Execution]:
        """At most `size` of those with a smaller id than `before`; the others narrow them down.

        `component` is a hash, a name or an id. Raises UnknownName for one that does not exist.
        """
        query = _EXECUTIONS.limit(size)
        with self._engine.connect() as connection:
            if before is not None:
                query = query.where(_COLUMNS.sequence < before)
            if component is not None:
                query = query.where(_COLUMNS.component_id == find_component(connection, component).id)
            if workflow_id is not None:
                query = query.where(_COLUMNS.workflow_id == storable(workflow_id))
            if status is not None:
                query = query.where(_COLUMNS.status == status)
            return [Execution.model_validate(row) for row in connection.execute(query)]
