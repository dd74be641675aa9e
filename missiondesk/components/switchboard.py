"""What a hub process writes: its connections, the commands it claims, and how they ended.

Everything is decided in Postgres, so any number of processes can serve. A command is `sent` before its first
byte leaves. A connection's row is locked while commands are claimed for it, so that a module which does not
recognise repetitions never has two commands open, whichever processes hold its connections.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from models.component import CommandStatus

# The first key of the advisory locks by which a hub process shows that it lives; the second is its id.
HUB_LOCKS = 0x4D44_4855


@dataclass(frozen=True)
class Opened:
    """A connection as it was opened; `again` are commands that its program may have been sent before."""

    connection_id: UUID
    component_id: int
    component: str
    again: tuple[Claimed, ...] = ()


@dataclass(frozen=True)
class Claimed:
    """A command that this process must send now. `args` is JSON text."""

    execution_id: UUID
    connection_id: UUID
    kind: str
    execution_time: datetime
    workflow_id: str
    workflow_name: str
    args: str | None


@dataclass(frozen=True)
class Report:
    """What came back over a connection. Without an execution id it is for the oldest open command.

    `workflow_id` "" fits every command. `outputs` is JSON text or None.
    """

    connection_id: UUID
    execution_id: UUID | None
    workflow_id: str
    status: CommandStatus
    error: str
    message: str
    outputs: str | None


async def enter(connection: asyncpg.Connection[Any]) -> int:
    """Become a hub process, for as long as this session lasts; the new hub's id."""
    async with connection.transaction():
        hub_id: int = await connection.fetchval("INSERT INTO hub DEFAULT VALUES RETURNING id")
        await connection.execute("SELECT pg_advisory_lock($1::int, $2::int)", HUB_LOCKS, hub_id)
    return hub_id


def sessions(url: str) -> asyncpg.Pool[Any]:
    """Sessions for a switchboard, to be entered and left with `async with`.

    The table of commands fills and empties within seconds, so what the planner knows of it is out of date. By
    the indexes every statement is quick, whatever it believes; a scan that it took for cheap lasted a minute.
    """
    settings = {"application_name": "hub", "enable_seqscan": "off"}
    return asyncpg.create_pool(url, min_size=1, max_size=6, command_timeout=30, server_settings=settings)


class Switchboard:
    """The statements of hub process `hub_id`; each method is one transaction."""

    def __init__(self, pool: asyncpg.Pool[Any], hub_id: int) -> None:
        self._pool, self.hub_id = pool, hub_id

    async def open(self, component_hash: str, instance: str | None, capacity: int) -> Opened | None:
        """Make a new connection the component's current one; None for a hash that is not registered.

        An older connection of the same instance is over, and what it left open is sent again, its deadline as
        it was: that program recognises it. Any other one is kept until what it was sent is answered.
        """
        async with self._pool.acquire() as connection, connection.transaction():
            found = await connection.fetchrow(_FIND, component_hash)
            if found is None:
                return None
            connection_id, component_id = uuid4(), found["id"]
            replaced = await connection.fetch(_REPLACE, component_id, instance)
            await connection.execute(_OPEN, connection_id, component_id, self.hub_id, instance, capacity)
            again = await connection.fetch(_SEND_AGAIN, component_id, instance, connection_id)
            for old in replaced:
                await connection.execute(
                    "SELECT pg_notify('missiondesk_connection', $1)", f"{old['state']} {old['id']}"
                )
        return Opened(connection_id, component_id, found["name"], tuple(map(_claimed, again)))

    async def close(self, connection_ids: Sequence[UUID], reason: str) -> None:
        await self._pool.execute(_CLOSE, list(connection_ids), reason)

    async def claim(self, connection_ids: Sequence[UUID]) -> list[Claimed]:
        """Mark as sent what these connections may be sent now: to those that don't name an instance one
        command at a time, to the others as many as they have room for."""
        async with self._pool.acquire() as connection, connection.transaction():
            current = await connection.fetch(_LOCK_CURRENT, list(connection_ids))
            if not current:
                return []
            return [_claimed(row) for row in await connection.fetch(_CLAIM, [row["id"] for row in current])]

    async def overlooked(self) -> list[int]:
        """The components connected here for which something waits, whether or not they have room for it."""
        return [row["component_id"] for row in await self._pool.fetch(_OVERLOOKED, self.hub_id)]

    async def take_back(self, execution_ids: Sequence[UUID]) -> None:
        """These were certainly not sent: their connection had closed before."""
        await self._pool.execute(_TAKE_BACK, list(execution_ids))

    async def settle(self, reports: Sequence[Report]) -> list[bool]:
        """Record outcomes; for each report whether it ended a command. At most one without execution id per
        connection."""
        columns = (
            [report.connection_id for report in reports],
            [report.execution_id for report in reports],
            [report.workflow_id for report in reports],
            [report.status.value for report in reports],
            [report.error for report in reports],
            [report.message for report in reports],
            [report.outputs for report in reports],
        )
        ended = {row["place"] for row in await self._pool.fetch(_SETTLE, *columns)}
        return [place in ended for place in range(1, len(reports) + 1)]

    async def delivered(self, execution_ids: Sequence[UUID]) -> None:
        """Plain messages were handed over."""
        await self._pool.execute(_DELIVERED, list(execution_ids))

    async def seen(self, connection_ids: Sequence[UUID]) -> None:
        """The components at these connections are there."""
        await self._pool.execute(_SEEN, list(connection_ids))

    async def executing(self, connection_ids: Sequence[UUID]) -> None:
        """The components at these connections were just asked to work."""
        await self._pool.execute(_EXECUTING, list(connection_ids))

    async def drained(self, connection_ids: Sequence[UUID]) -> list[UUID]:
        """Those of these replaced connections that have nothing open any more."""
        return [row["id"] for row in await self._pool.fetch(_DRAINED, list(connection_ids))]

    async def tell_invalid(self, said: Mapping[str, str]) -> None:
        """Tell people what components (by name) said that can't be read; of each once an hour."""
        await self._pool.execute(_INVALID, list(said), list(said.values()))

    async def sweep(self) -> None:
        """End what can't go on: connections of dead processes, commands whose time is up."""
        async with self._pool.acquire() as connection:
            await connection.execute(_BURY)
            await connection.execute(_TIME_OUT)
            await connection.execute(_GIVE_UP)

    async def leave(self) -> None:
        """This process serves no longer."""
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_LEAVE_CONNECTIONS, self.hub_id)
            await connection.execute("UPDATE hub SET ended_at = now() WHERE id = $1", self.hub_id)


def _claimed(row: asyncpg.Record) -> Claimed:
    return Claimed(
        row["id"],
        row["connection_id"],
        row["kind"],
        row["execution_time"],
        row["workflow_id"],
        row["workflow_name"],
        row["args"],
    )


# Connections of one component are opened one after the other.
_FIND = "SELECT id, name FROM component WHERE hash = $1 FOR NO KEY UPDATE"

_REPLACE = """
UPDATE component_connection
SET state = CASE WHEN instance = $2 THEN 'ended' ELSE 'draining' END,
    ended_at = CASE WHEN instance = $2 THEN now() END,
    end_reason = 'replaced by a newer connection'
WHERE component_id = $1 AND (state = 'current' OR state = 'draining' AND instance = $2)
RETURNING id, state
"""

_OPEN = """
WITH opened AS (
    INSERT INTO component_connection (id, component_id, hub_id, instance, capacity)
    VALUES ($1, $2, $3, $4, $5)
)
UPDATE component SET last_login_at = now(), last_seen_at = now() WHERE id = $2
"""

_SENT = """component_command.id, component_command.connection_id, component_command.kind,
    component_command.execution_time, component_command.workflow_id, component_command.workflow_name,
    component_command.args"""

_SEND_AGAIN = f"""
UPDATE component_command
SET connection_id = $3, sends = sends + 1, sent_at = now()
FROM component_connection AS old
WHERE component_command.component_id = $1 AND component_command.status = 'sent'
  AND component_command.kind = 'execute'
  AND old.id = component_command.connection_id AND old.instance = $2 AND old.state = 'ended'
RETURNING {_SENT}
"""  # noqa: S608

_CLOSE = """
UPDATE component_connection SET state = 'ended', ended_at = now(), end_reason = $2
WHERE id = ANY ($1) AND state <> 'ended'
"""

_LOCK_CURRENT = """
SELECT id FROM component_connection WHERE id = ANY ($1) AND state = 'current' ORDER BY id FOR NO KEY UPDATE
"""

# In a statement of its own after the locks, so that it sees what was committed while they were waited for.
_CLAIM = f"""
WITH free AS (
    SELECT connection.id, connection.component_id, connection.capacity - (
        SELECT count(*) FROM component_command AS open
        WHERE open.component_id = connection.component_id AND open.status = 'sent' AND open.kind = 'execute'
          AND (connection.instance IS NULL OR open.connection_id = connection.id)
    ) AS room
    FROM component_connection AS connection WHERE connection.id = ANY ($1)
), next AS MATERIALIZED (
    SELECT free.id AS connection_id, chosen.id
    FROM free CROSS JOIN LATERAL (
        (SELECT id FROM component_command
         WHERE component_id = free.component_id AND status = 'waiting' AND kind = 'execute'
         ORDER BY sequence LIMIT greatest(free.room, 0))
        UNION ALL
        (SELECT id FROM component_command
         WHERE component_id = free.component_id AND status = 'waiting' AND kind = 'message'
         ORDER BY sequence LIMIT 100)
    ) AS chosen
), sent AS (
    UPDATE component_command
    SET status = 'sent', connection_id = next.connection_id, sends = sends + 1, sent_at = now(),
        answer_by = now() + make_interval(secs => timeout_seconds)
    FROM next WHERE component_command.id = next.id AND component_command.status = 'waiting'
    RETURNING {_SENT}, component_command.sequence
)
SELECT * FROM sent ORDER BY sequence
"""  # noqa: S608

_OVERLOOKED = """
SELECT DISTINCT component_command.component_id
FROM component_command JOIN component_connection AS connection USING (component_id)
WHERE component_command.status = 'waiting' AND connection.hub_id = $1 AND connection.state = 'current'
"""

# One that was sent before, over another connection, stays sent.
_TAKE_BACK = """
UPDATE component_command
SET status = 'waiting', connection_id = NULL, sends = 0, sent_at = NULL, answer_by = NULL
WHERE id = ANY ($1) AND status = 'sent' AND sends = 1
"""

_SETTLE = """
WITH report AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
        WITH ORDINALITY AS given (
            connection_id, execution_id, workflow_id, status, error, message, outputs, place
        )
), meant AS (
    SELECT report.*, coalesce(
        report.execution_id,
        (SELECT open.id FROM component_command AS open
         LEFT JOIN component_connection AS old ON old.id = open.connection_id
         WHERE open.component_id = connection.component_id AND open.status = 'sent'
           AND open.kind = 'execute'
           AND (open.connection_id = connection.id OR old.state = 'ended' AND old.instance IS NULL)
           AND (report.workflow_id = '' OR open.workflow_id IN ('', report.workflow_id))
         ORDER BY open.sequence LIMIT 1)
    ) AS command_id, connection.component_id
    FROM report JOIN component_connection AS connection ON connection.id = report.connection_id
)
UPDATE component_command AS command
SET status = meant.status, error = meant.error, message = meant.message, outputs = meant.outputs::json,
    finished_at = now()
FROM meant
WHERE command.id = meant.command_id AND command.component_id = meant.component_id
  AND command.status = 'sent' AND command.kind = 'execute'
RETURNING meant.place
"""

_DELIVERED = """
UPDATE component_command SET status = 'succeeded', finished_at = now()
WHERE id = ANY ($1) AND status = 'sent' AND kind = 'message'
"""

# A component that someone else has locked is left out: to wait for it could deadlock.
_AT = """
FROM (
    SELECT id FROM component
    WHERE id IN (SELECT component_id FROM component_connection WHERE id = ANY ($1))
    FOR NO KEY UPDATE SKIP LOCKED
) AS present
WHERE component.id = present.id
"""
_SEEN = f"UPDATE component SET last_seen_at = now() {_AT}"  # noqa: S608
_EXECUTING = f"UPDATE component SET last_seen_at = now(), last_execution_at = now() {_AT}"  # noqa: S608

_DRAINED = """
SELECT id FROM component_connection
WHERE id = ANY ($1) AND state <> 'current' AND NOT EXISTS (
    SELECT FROM component_command
    WHERE component_command.component_id = component_connection.component_id
      AND connection_id = component_connection.id AND status = 'sent'
)
"""

_BURY = f"""
WITH dead AS (
    UPDATE hub SET ended_at = now()
    WHERE ended_at IS NULL AND NOT EXISTS (
        SELECT FROM pg_locks
        WHERE locktype = 'advisory' AND classid::bigint = {HUB_LOCKS} AND objid::bigint = hub.id
          AND objsubid = 2 AND granted
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    )
    RETURNING id
)
UPDATE component_connection
SET state = 'ended', ended_at = now(), end_reason = 'the server process that held it died'
FROM dead WHERE hub_id = dead.id AND state <> 'ended'
"""  # noqa: S608

_TIME_OUT = """
UPDATE component_command AS command
SET finished_at = now(),
    status = CASE WHEN held THEN 'timeout' ELSE 'unknown' END,
    error = CASE
        WHEN held THEN format('no report within %s s', timeout_seconds)
        ELSE 'its connection was lost after it may have been sent, and no report came'
    END
FROM (
    SELECT overdue.id, connection.state IS NOT NULL AND connection.state <> 'ended' AS held
    FROM component_command AS overdue
    LEFT JOIN component_connection AS connection ON connection.id = overdue.connection_id
    WHERE overdue.status = 'sent' AND overdue.answer_by < now()
) AS overdue
WHERE command.id = overdue.id AND command.status = 'sent' AND command.answer_by < now()
"""

_GIVE_UP = """
UPDATE component_command AS command
SET status = 'offline', finished_at = now(), error = 'its component was offline, so it was never sent'
WHERE status = 'waiting' AND send_by < now() AND NOT EXISTS (
    SELECT FROM component_connection AS connection
    WHERE connection.component_id = command.component_id AND connection.state = 'current'
)
"""

_INVALID = """
INSERT INTO notification (key, kind, subject, body)
SELECT format('invalid message of %s in hour %s', name, this_hour()), 'message invalid',
    name || ': invalid message', said
FROM unnest($1::text[], $2::text[]) AS news (name, said)
ON CONFLICT (key) DO NOTHING
"""

_LEAVE_CONNECTIONS = """
UPDATE component_connection
SET state = 'ended', ended_at = now(), end_reason = 'its server process was stopped'
WHERE hub_id = $1 AND state <> 'ended'
"""
