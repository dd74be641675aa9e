"""Saving a Mission, a task or an account: the whole row as it would be is validated before it is written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from psycopg2.errors import UniqueViolation
from sqlalchemy import Column, Connection, Table, insert, null, select, update
from sqlalchemy.exc import IntegrityError

from models.account import Account
from models.errors import InvalidRow, UnknownName
from models.mission import Mission, MissionTask
from models.tables import account, mission, task

CheckTask = Callable[[MissionTask], object]


def save_mission(connection: Connection, fields: Mapping[str, Any], *, new: bool = False) -> Mission:
    """`new`: insert it, and refuse a name that is taken; else the row of this `id` or `name` is changed."""
    present = None if new else _present_row(connection, mission, fields)
    saved = Mission.from_row(_row_to_be(mission, present, fields))
    if problems := list(_dangling(connection, saved)):
        raise InvalidRow("mission", saved.name, problems)
    return Mission.from_row(_write(connection, mission, present, fields))


def save_task(
    connection: Connection, fields: Mapping[str, Any], check: CheckTask, *, new: bool = False
) -> MissionTask:
    """`new` as for Missions. `check` raises InputRefused when template or params are not valid."""
    present = None if new else _present_row(connection, task, fields)
    saved = MissionTask.from_row(_row_to_be(task, present, fields))
    check(saved)
    written = {**fields, "period": str(saved.period)} if saved.period else fields
    return MissionTask.from_row(_write(connection, task, present, written))


def save_account(connection: Connection, fields: Mapping[str, Any]) -> Account:
    if "armed" in fields:
        problem = f"expected arm or disarm to be used, got {fields['armed']!r}"
        raise InvalidRow("account", fields.get("name"), [("armed", problem)])
    present = _present_row(connection, account, fields)
    saved = Account.from_row(_row_to_be(account, present, fields))
    if saved.armed and (missing := limits_missing_to_arm(saved)):
        problem = "expected a limit while the account is armed, got null"
        raise InvalidRow("account", saved.name, [(limit, problem) for limit in missing])
    return Account.from_row(_write(connection, account, present, fields))


def limits_missing_to_arm(candidate: Account) -> list[str]:
    """The limits without which no account trades live; the table refuses it too."""
    needed = {
        "max_order_notional": candidate.max_order_notional,
        "max_daily_loss": candidate.max_daily_loss,
    }
    return [limit for limit, value in needed.items() if value is None]


def _present_row(connection: Connection, table: Table, fields: Mapping[str, Any]) -> Mapping[str, Any] | None:
    by_id = "id" in fields and "id" in table.c
    column = table.c.id if by_id else table.c.name
    row = connection.execute(
        select(table).where(column == fields.get(column.name)).with_for_update()
    ).one_or_none()
    if row is None and by_id:
        raise UnknownName(table.name, fields["id"], connection.scalars(select(table.c.name)))
    return None if row is None else row._asdict()


def _row_to_be(
    table: Table, present: Mapping[str, Any] | None, fields: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Raises InvalidRow for fields that the table does not have, and for nulls that it does not take."""
    columns: dict[str, Column[Any]] = {
        column.name: column for column in table.columns if column.name != "updated_at"
    }
    problems = [
        (name, f"expected a field among {', '.join(columns)}") for name in fields if name not in columns
    ] + [
        (name, "expected a value, got null")
        for name, value in fields.items()
        if value is None and name in columns and not columns[name].nullable
    ]
    if problems:
        raise InvalidRow(table.name, fields.get("name") or fields.get("id"), problems)
    return {"id": 0, **(present or {}), **fields}


def _dangling(connection: Connection, saved: Mission) -> Iterable[tuple[str, str]]:
    """Problems with the rows that a Mission refers to."""
    wanted = {*saved.task_ids, saved.target_id}
    tasks = set(connection.scalars(select(task.c.id).where(task.c.id.in_(wanted - {None}))))
    if missing := sorted(set(saved.task_ids) - tasks):
        yield "task_ids", f"expected ids of existing tasks, got {', '.join(map(str, missing))}"
    if saved.target_id is not None and saved.target_id not in tasks:
        yield "target_id", f"expected the id of an existing task, got {saved.target_id}"
    if saved.next_mission_id is not None:
        missions: Collection[int] = connection.scalars(select(mission.c.id)).all()
        if saved.next_mission_id not in missions:
            yield "next_mission_id", f"expected the id of an existing mission, got {saved.next_mission_id}"
    names = connection.scalars(select(account.c.name).order_by(account.c.name)).all()
    if saved.account not in names:
        yield "account", f"expected one of {', '.join(names)}, got {saved.account!r}"


def _write(
    connection: Connection, table: Table, present: Mapping[str, Any] | None, fields: Mapping[str, Any]
) -> Mapping[str, Any]:
    # A plain None would become the JSON value null where SQL's NULL is meant.
    values = {name: null() if value is None else value for name, value in fields.items() if name != "id"}
    if present is not None and not values:
        return present
    (key,) = table.primary_key.columns
    write = insert(table) if present is None else update(table).where(key == present[key.name])
    try:
        return connection.execute(write.values(values).returning(table)).one()._asdict()
    except IntegrityError as error:
        if not isinstance(error.orig, UniqueViolation):
            raise
        taken = f"expected a name of its own, got {fields['name']!r}, which is taken"
        raise InvalidRow(table.name, fields["name"], [("name", taken)]) from None
