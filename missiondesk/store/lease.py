"""What a flow run may do to the Missionary it holds: one statement each, which checks that it still does.

A lease that ran out is still its holder's, until another tick takes it or the reaper clears it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Update, func, insert, literal, select, update

from models.errors import LeaseLost
from models.mission import MissionId
from models.result import Result, ResultType
from models.tables import missionary, result_log

NO_LEASE: dict[str, Any] = {"holder": None, "lease_expires_at": None}


def lease_for(seconds: float) -> Any:
    """The instant until which a lease given now lasts, on the database's clock: leases know no other."""
    return func.now() + timedelta(seconds=seconds)


def held(missionary_id: int, holder: str) -> Update:
    """An update that finds its row only while `holder` holds this Missionary."""
    return update(missionary).where(
        missionary.c.id == missionary_id, missionary.c.holder == holder, missionary.c.ended_at.is_(None)
    )


def ended(result: str) -> dict[str, Any]:
    return {"ended_at": func.now(), "result": result, "hold_rule": None, "hold_reason": None, **NO_LEASE}


def change_held(
    connection: Connection, missionary_id: int, holder: str, change: Update, result: Result | None = None
) -> MissionId:
    """Run `change`, made of `held`, and log `result` in the same statement; returns the Mission's id.

    Only results of type NORMAL are logged. Raises LeaseLost, and logs nothing, when the change found no row.
    """
    changed = change.returning(missionary.c.id, missionary.c.mission_id).cte("changed")
    statement = select(changed.c.mission_id)
    if result is not None and result.type is ResultType.NORMAL:
        fields = {
            "task_id": result.task_id,
            "task_name": result.task_name,
            "role": result.role,
            "task_index": result.task_index,
            "passed": result.passed,
            "rule": result.rule,
            "msg": result.msg,
            "flow_run_id": holder,
            "logged_at": result.logged_at,
        }
        values = [literal(value, result_log.c[name].type).label(name) for name, value in fields.items()]
        row = select(changed.c.mission_id, changed.c.id.label("missionary_id"), *values)
        logged = insert(result_log).from_select(["mission_id", "missionary_id", *fields], row)
        statement = statement.add_cte(logged.cte("logged"))
    mission_id = connection.scalar(statement)
    if mission_id is None:
        raise LeaseLost(_why_lost(connection, missionary_id, holder))
    return MissionId(mission_id)


def _why_lost(connection: Connection, missionary_id: int, holder: str) -> str:
    row = connection.execute(select(missionary).where(missionary.c.id == missionary_id)).one_or_none()
    if row is None:
        return f"missionary {missionary_id} is gone, with its Mission"
    if row.ended_at is not None:
        return f"missionary {missionary_id} has ended: {row.result}"
    if row.holder != holder:
        return f"missionary {missionary_id} is held by {row.holder or 'nobody'} now, not by {holder}"
    return f"missionary {missionary_id} stands at index {row.next_index} by now"
