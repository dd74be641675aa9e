"""What accounts carried over midnight: the sums of their settled orders, kept so that none is read for ever.

Sums are kept up to a midnight that is a day past, when nothing can be added before it any more; what settled
since is added up anew each time.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, case, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from missiondesk.orders.exposure import Carried, Market
from models.account import Mode
from models.order import OrderStatus
from models.tables import carried_holding as kept
from models.tables import trade_order as order

_SETTLED = tuple(str(status) for status in OrderStatus if status.is_final)
_MARKET = ("account", "mode", "exchange", "symbol")
_DAY = timedelta(days=1)


def carried_over(
    connection: Connection, account: str, mode: Mode, midnight: datetime
) -> dict[Market, Carried]:
    """What an account's orders that settled before `midnight` add up to, by market."""
    sums = connection.execute(
        _OF_ACCOUNT,
        {"account": account, "mode": mode, "kept_until": midnight - _DAY, "until": midnight},
    )
    return {(row.exchange, row.symbol): Carried(row.total, row.lowest) for row in sums}


def keep_carried(connection: Connection, midnight: datetime) -> None:
    """Keep every account's sums up to the day before `midnight`, once."""
    yesterday = midnight - _DAY
    if connection.scalar(select(func.max(kept.c.day))) == yesterday:
        return
    connection.execute(_KEEP, {"kept_until": yesterday, "until": yesterday})
    connection.execute(delete(kept).where(kept.c.day < yesterday - _DAY))


def _sums(*names: str) -> Select[Any]:
    """The newest sums that are kept up to `kept_until`, and what settled between them and `until`.

    `names`: the columns that have to be as the statement's parameters say.
    """
    newest = select(func.max(kept.c.day)).where(kept.c.day <= bindparam("kept_until")).scalar_subquery()
    mine = [kept.c[name] == bindparam(name) for name in names]
    earlier = select(kept).where(kept.c.day == newest, *mine).subquery()
    market = [order.c[name] for name in _MARKET]
    fill = case((order.c.side == "buy", order.c.filled), else_=-order.c.filled)
    running = func.sum(fill).over(partition_by=market, order_by=(order.c.sent_at, order.c.id))
    fills = (
        select(*market, fill.label("fill"), running.label("running"))
        .where(
            *(order.c[name] == bindparam(name) for name in names),
            order.c.filled > 0,
            order.c.updated_at >= func.coalesce(newest, "-infinity"),
            order.c.updated_at < bindparam("until"),
            order.c.status.in_(_SETTLED),
        )
        .subquery()
    )
    later = (
        select(
            *(fills.c[name] for name in _MARKET),
            func.sum(fills.c.fill).label("total"),
            func.least(func.min(fills.c.running), 0).label("lowest"),
        )
        .group_by(*(fills.c[name] for name in _MARKET))
        .subquery()
    )
    before = func.coalesce(earlier.c.total, 0)
    both = and_(*(earlier.c[name] == later.c[name] for name in _MARKET))
    return select(
        *(func.coalesce(earlier.c[name], later.c[name]).label(name) for name in _MARKET),
        (before + func.coalesce(later.c.total, 0)).label("total"),
        func.least(func.coalesce(earlier.c.lowest, 0), before + func.coalesce(later.c.lowest, 0)).label(
            "lowest"
        ),
    ).select_from(earlier.outerjoin(later, both, full=True))


# Made once: to put them together takes longer than to run them.
_OF_ACCOUNT = _sums("account", "mode")
_EVERYBODYS = _sums().subquery()
_KEEP = (
    insert(kept)
    .from_select(
        ["day", *_EVERYBODYS.c.keys()],
        select(bindparam("until", type_=kept.c.day.type).label("day"), *_EVERYBODYS.c),
    )
    .on_conflict_do_nothing()
)
