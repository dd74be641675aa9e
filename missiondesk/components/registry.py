"""Which components there are, and which of them are connected: `component` and its connections as values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Engine, Row, and_, delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert

from missiondesk.components.requirements import check_requirements
from missiondesk.components.texts import check_storable, storable, to_json
from models.component import Component, ComponentId, Presence, component_hash
from models.component_tables import component, component_command, component_connection
from models.errors import InputRefused, MissiondeskError, UnknownName

LONGEST_TEXT = 10_000
LONGEST_NAME = 200


class AlreadyRegistered(InputRefused):
    """The very same component is registered; nothing was changed, and it may connect with its hash."""


class HashTaken(InputRefused):
    """Another component has the same hash: texts that differ only in where one ends and the next begins."""


class ComponentOffline(MissiondeskError):
    """The component is registered and not connected; try again when it is."""


class Registry:
    """Every method is one statement."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def register(
        self,
        name: str,
        description: str = "",
        model_hash: str = "",
        *,
        input_data: Any = None,
        output_data: Any = None,
        priority: int = 0,
    ) -> Component:
        """Raises InputRefused for texts that are not valid, AlreadyRegistered, HashTaken."""
        texts = {"name": name, "description": description, "model_hash": model_hash}
        for field, text in texts.items():
            check_storable(field, text)
            if len(text) > LONGEST_TEXT:
                raise InputRefused(f"{field}: expected at most {LONGEST_TEXT} characters, got {len(text)}")
        if not 1 <= len(name.strip()) <= LONGEST_NAME:
            raise InputRefused(f"name: expected 1 to {LONGEST_NAME} characters, got {len(name.strip())}")
        for field, data in (("input_data", input_data), ("output_data", output_data)):
            check_requirements(field, data)
        values = {
            **texts,
            "hash": component_hash(name, description, model_hash),
            "input_data": input_data,
            "output_data": output_data,
            "priority": priority,
        }
        statement = insert(component).values(values).on_conflict_do_nothing(index_elements=["hash"])
        with self._engine.connect() as connection:
            row = connection.execute(statement.returning(component)).one_or_none()
            if row is not None:
                return _component(row)
            present = connection.execute(select(component).where(component.c.hash == values["hash"])).one()
        if any(getattr(present, field) != text for field, text in texts.items()):
            raise HashTaken(f"expected a hash of its own, got that of component {present.name!r}")
        raise AlreadyRegistered(
            f"component {name!r} is registered with these texts since {present.registered_at}"
        )

    def find(self, reference: str | int) -> Component:
        """By hash, by name, or by id when it is a number.

        Raises UnknownName, and InputRefused for a name that several have.
        """
        with self._engine.connect() as connection:
            return find_component(connection, reference)

    def online(self) -> list[Presence]:
        """Those connected now, higher priority first."""
        return [presence for presence in self.all() if presence.online]

    def all(self) -> list[Presence]:
        """Everyone registered, higher priority first, then by id."""
        with self._engine.connect() as connection:
            rows = connection.execute(_PRESENCE.order_by(component.c.priority.desc(), component.c.id)).all()
        return [_presence(row) for row in rows]

    def page(self, size: int, *, before: int | None = None) -> list[Presence]:
        """At most `size` of those with a smaller id than `before`, the newest first."""
        query = _PRESENCE.order_by(component.c.id.desc()).limit(size)
        if before is not None:
            query = query.where(component.c.id < before)
        with self._engine.connect() as connection:
            return [_presence(row) for row in connection.execute(query)]

    def session_of(self, component_id: int) -> str:
        """The id of its connection. Raises ComponentOffline."""
        query = select(component_connection.c.id).where(
            component_connection.c.component_id == component_id, component_connection.c.state == "current"
        )
        with self._engine.connect() as connection:
            session_id = connection.scalar(query)
        if session_id is None:
            raise ComponentOffline(f"expected component {component_id} to be connected, got offline")
        return str(session_id)

    def close_connection(self, reference: str | int) -> Component:
        """Ask the hub that holds the component's connection to close it. Raises ComponentOffline."""
        found = self.find(reference)
        session_id = self.session_of(found.id)
        with self._engine.connect() as connection:
            connection.execute(select(func.pg_notify("missiondesk_connection", f"close {session_id}")))
        return found

    def expire(self, silent_for: timedelta) -> list[str]:
        """Forget the components that are offline and were not seen for so long; their names.

        Those that have a command open stay.
        """
        seen = func.coalesce(component.c.last_seen_at, component.c.registered_at)
        busy = select(component_command.c.component_id).where(
            component_command.c.status.in_(["waiting", "sent"])
        )
        connected = select(component_connection.c.component_id).where(component_connection.c.state != "ended")
        statement = (
            delete(component)
            .where(
                seen < func.now() - silent_for,
                component.c.id.not_in(busy),
                component.c.id.not_in(connected),
            )
            .returning(component.c.name)
        )
        with self._engine.connect() as connection:
            return sorted(connection.scalars(statement))


_PRESENCE = select(component, component_connection.c.id.label("session_id")).outerjoin(
    component_connection,
    and_(component_connection.c.component_id == component.c.id, component_connection.c.state == "current"),
)


def _presence(row: Row[Any]) -> Presence:
    return Presence(
        ComponentId(row.id),
        row.hash,
        row.name,
        row.description,
        row.priority,
        row.session_id,
        row.last_execution_at,
        row.last_seen_at,
        row.last_login_at,
    )


def find_component(connection: Connection, reference: str | int) -> Component:
    """See `Registry.find`."""
    if isinstance(reference, str):
        reference = storable(reference)
    elif abs(reference) >= 2**63:  # no id of ours
        reference = 0
    matches = or_(component.c.hash == reference, component.c.name == reference)
    query = select(component).where(matches if isinstance(reference, str) else component.c.id == reference)
    rows = connection.execute(query.limit(3)).all()
    exact = [row for row in rows if row.hash == reference] or rows
    if not exact:
        raise UnknownName("component", reference, connection.scalars(select(component.c.name).limit(31)))
    if len(exact) > 1:
        raise InputRefused(f"expected the hash of one component, got {reference!r}, a name that several have")
    return _component(exact[0])


def _component(row: Row[Any]) -> Component:
    fields: Mapping[str, Any] = row._asdict()
    return Component(
        **{name: fields[name] for name in ("id", "hash", "name", "description", "input_data", "output_data")}
    )


def data_of_text(text: str) -> Any:
    """What a registration's `input_data` or `output_data` says: the JSON value, or the text if it is none.

    Raises InputRefused for numbers that JSON has no form for.
    """
    try:
        value = json.loads(text) if text else None
    except (ValueError, RecursionError):
        return text
    to_json(value)
    return value
