"""How many there are of what, for metrics: cheap enough to be asked every few seconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from threading import Lock

from sqlalchemy import Engine, func, select

from models.tables import condition, desk, mission, missionary, result_log, task, trade_order

# Longer than any transaction that writes a result: below, no row of an older time appears any more.
_SETTLED_AFTER = timedelta(minutes=5)
_BEYOND_ALL = 2**63 - 1


@dataclass(frozen=True)
class Counts:
    """`orders` by (mode, status). `running_ticks` hold a lease now. `halted`: the kill switch is on."""

    enabled_missions: int
    disabled_missions: int
    tasks: int
    conditions: int
    open_missionaries: int
    running_ticks: int
    orders: Mapping[tuple[str, str], int]
    halted: bool


def count_rows(engine: Engine) -> Counts:
    """Two statements."""
    still_open = missionary.c.ended_at.is_(None)
    numbers = {
        "enabled_missions": select(func.count()).where(mission.c.enabled),
        "disabled_missions": select(func.count()).where(~mission.c.enabled),
        "tasks": select(func.count()).select_from(task),
        "conditions": select(func.count()).select_from(condition),
        "open_missionaries": select(func.count()).where(still_open),
        "running_ticks": select(func.count()).where(still_open, missionary.c.lease_expires_at > func.now()),
        "halted": select(func.coalesce(func.bool_or(desk.c.halted), False)),
    }
    all_numbers = select(*(query.scalar_subquery().label(name) for name, query in numbers.items()))
    by_kind = select(trade_order.c.mode, trade_order.c.status, func.count()).group_by(
        trade_order.c.mode, trade_order.c.status
    )
    with engine.connect() as connection:
        counted = connection.execute(all_numbers).one()._asdict()
        orders = {(mode, status): count for mode, status, count in connection.execute(by_kind)}
    return Counts(**counted, orders=orders)


class ResultCounter:
    """Counts the whole ResultLog once, and from then on what came since."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = Lock()
        self._settled: Counter[bool] = Counter()
        self._settled_up_to = 0

    def count(self) -> Mapping[bool, int]:
        """Results by whether they passed, of all time."""
        with self._lock:
            return self._count()

    def _count(self) -> Mapping[bool, int]:
        unseen = result_log.c.id > self._settled_up_to
        young = result_log.c.logged_at >= func.now() - _SETTLED_AFTER
        first_young = select(func.min(result_log.c.id)).where(unseen, young).scalar_subquery()
        settled = result_log.c.id < func.coalesce(first_young, _BEYOND_ALL)
        query = (
            select(
                result_log.c.passed,
                func.count(),
                func.count().filter(settled),
                func.coalesce(func.max(result_log.c.id).filter(settled), 0),
            )
            .where(unseen)
            .group_by(result_log.c.passed)
        )
        counted = Counter(self._settled)
        with self._engine.connect() as connection:
            for passed, count, newly_settled, last in connection.execute(query):
                counted[passed] += count
                self._settled[passed] += newly_settled
                self._settled_up_to = max(self._settled_up_to, last)
        return counted
