"""What a tick needs to start, read and leased in one statement."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

from missiondesk.store.opening import check_steps_exist, step_ids
from models.account import Account
from models.errors import InvalidRow, UnknownName
from models.mission import Mission, MissionTask, TaskId
from models.missionary import Missionary


@dataclass(frozen=True)
class TickStart:
    """Validated rows of one Mission at the start of a tick.

    `missionary` is the open one; None only when the Mission is disabled and has none. `leased` says whether
    this flow run holds it now; if not, and the Mission is enabled, `missionary.holder` does.
    `tasks` holds the Missionary's queue and target, and the tasks that the guards name. `conditions` holds
    those Conditions that the guards name and that exist. `taken_over_from` is the flow run whose lease
    had run out when this one took it.
    """

    mission: Mission
    missionary: Missionary | None
    leased: bool
    tasks: Mapping[TaskId, MissionTask]
    account: Account
    conditions: Mapping[str, bool]
    taken_over_from: str | None = None


# `free` and not `leased`: another one changed the row while we looked, and another look is due.
_LOOK = text("""
    WITH found AS (
        SELECT * FROM mission WHERE name = :name OR id = :id
    ), before AS (
        SELECT missionary.* FROM missionary JOIN found ON mission_id = found.id WHERE ended_at IS NULL
    ), leased AS (
        UPDATE missionary
        SET holder = :holder, lease_expires_at = now() + make_interval(secs => :lease_seconds)
        FROM found
        WHERE mission_id = found.id AND found.enabled AND ended_at IS NULL
          AND (holder IS NULL OR holder = :holder OR lease_expires_at <= now())
        RETURNING missionary.*
    ), walking AS (
        SELECT * FROM leased UNION ALL SELECT * FROM before WHERE NOT EXISTS (SELECT FROM leased)
    ), named AS (
        SELECT ARRAY[ltrim(can_run_before_each_task, '!'), ltrim(can_run_before_aim, '!')] AS guards
        FROM found
    )
    SELECT
        to_jsonb(found) AS mission,
        to_jsonb(walking) AS missionary,
        EXISTS (SELECT FROM leased) AS leased,
        walking.holder IS NULL OR walking.holder = :holder OR walking.lease_expires_at <= now() AS free,
        before.holder AS previous_holder,
        (
            SELECT jsonb_agg(to_jsonb(task)) FROM task
            WHERE name = ANY (guards)
               OR id = ANY (CASE WHEN walking.id IS NULL THEN found.task_ids ELSE walking.task_ids END)
               OR id = CASE WHEN walking.id IS NULL THEN found.target_id ELSE walking.target_id END
        ) AS tasks,
        -- as text, for its amounts are decimals and must not become floats on the way
        (
            SELECT to_jsonb(trading)::text FROM account AS trading
            WHERE name = coalesce(walking.account, found.account)
        ) AS account,
        (SELECT jsonb_object_agg(name, valid) FROM condition WHERE name = ANY (guards)) AS conditions
    FROM found CROSS JOIN named LEFT JOIN before ON true LEFT JOIN walking ON true
""")


def look(connection: Connection, mission: str | int, holder: str, lease_seconds: float) -> Mapping[str, Any]:
    """Read the Mission's rows, and take its Missionary's lease if it is enabled and the lease is free."""
    name, mission_id = (mission, None) if isinstance(mission, str) else (None, mission)
    given = {"name": name, "id": mission_id, "holder": holder, "lease_seconds": lease_seconds}
    row = connection.execute(_LOOK, given).one_or_none()
    if row is None:
        raise UnknownName("mission", mission, connection.scalars(text("SELECT name FROM mission")))
    return row._asdict()


def validated(row: Mapping[str, Any], holder: str) -> TickStart:
    """Raises InvalidRow for the first row that is not valid, or missing."""
    mission = Mission.from_row(row["mission"])
    missionary = None if row["missionary"] is None else Missionary.from_row(row["missionary"])
    walked = missionary or mission
    tasks = {task.id: task for task in map(MissionTask.from_row, row["tasks"] or ())}
    check_steps_exist(mission, step_ids(walked), tasks)
    if row["account"] is None:
        problem = f"expected the name of an existing account, got {walked.account!r}"
        raise InvalidRow("mission", mission.name, [("account", problem)])
    return TickStart(
        mission=mission,
        missionary=missionary,
        leased=row["leased"],
        tasks=tasks,
        account=Account.from_row(json.loads(row["account"], parse_float=Decimal)),
        conditions=row["conditions"] or {},
        taken_over_from=row["previous_holder"]
        if row["leased"] and row["previous_holder"] != holder
        else None,
    )
