"""Every Mission at a glance, for the command line and the live table: one statement, rows not validated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, Row, func, select, true

from models.account import Mode
from models.mission import MissionId
from models.missionary import MissionaryId
from models.order import OrderStatus
from models.tables import mission, missionary, result_log, trade_order

_UNSETTLED = [status for status in OrderStatus if not status.is_final]


@dataclass(frozen=True)
class LastResult:
    """The newest row of a Mission's log."""

    passed: bool
    task_name: str
    rule: str
    msg: str
    logged_at: datetime


@dataclass(frozen=True)
class MissionOverview:
    """`next_index` of `steps` Tasks are passed. What belongs to the open Missionary is None without one.

    `running` says that a tick walks it now; `hold_rule` and `hold_reason` say why the last one ended.
    `open_orders` counts the orders that are on their way to the venue or rest there.
    """

    id: MissionId
    name: str
    enabled: bool
    mode: Mode
    missionary_id: MissionaryId | None
    next_index: int
    steps: int
    period: str | None
    running: bool
    hold_rule: str | None
    hold_reason: str | None
    open_orders: int
    last_result: LastResult | None

    @property
    def progress(self) -> str:
        return f"{self.next_index}/{self.steps}"


def mission_overview(engine: Engine, mission_id: int | None = None) -> Sequence[MissionOverview]:
    """All Missions by name, or the one of this id."""
    newest = (
        select(result_log)
        .where(result_log.c.mission_id == mission.c.id)
        .order_by(result_log.c.id.desc())
        .limit(1)
        .lateral("newest")
    )
    open_orders = (
        select(func.count())
        .where(trade_order.c.missionary_id == missionary.c.id, trade_order.c.status.in_(_UNSETTLED))
        .scalar_subquery()
    )
    still_open = (missionary.c.mission_id == mission.c.id) & missionary.c.ended_at.is_(None)
    query = (
        select(
            mission.c.id,
            mission.c.name,
            mission.c.enabled,
            func.coalesce(missionary.c.mode, mission.c.mode).label("mode"),
            missionary.c.id.label("missionary_id"),
            func.coalesce(missionary.c.next_index, 0).label("next_index"),
            func.cardinality(func.coalesce(missionary.c.task_ids, mission.c.task_ids)).label("steps"),
            missionary.c.period,
            func.coalesce(missionary.c.lease_expires_at > func.now(), False).label("running"),
            missionary.c.hold_rule,
            missionary.c.hold_reason,
            open_orders.label("open_orders"),
            newest.c.passed,
            newest.c.task_name,
            newest.c.rule,
            newest.c.msg,
            newest.c.logged_at,
        )
        .select_from(mission.outerjoin(missionary, still_open).outerjoin(newest, true()))
        .order_by(mission.c.name)
    )
    if mission_id is not None:
        query = query.where(mission.c.id == mission_id)
    with engine.connect() as connection:
        return [_overview(row) for row in connection.execute(query)]


def _overview(row: Row[Any]) -> MissionOverview:
    newest = None
    if row.logged_at is not None:
        newest = LastResult(row.passed, row.task_name, row.rule, row.msg, row.logged_at)
    return MissionOverview(
        id=row.id,
        name=row.name,
        enabled=row.enabled,
        mode=row.mode,
        missionary_id=row.missionary_id,
        next_index=row.next_index,
        steps=row.steps,
        period=row.period,
        running=row.running,
        hold_rule=row.hold_rule,
        hold_reason=row.hold_reason,
        open_orders=row.open_orders,
        last_result=newest,
    )
