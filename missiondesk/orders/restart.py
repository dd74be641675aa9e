"""Restarts the walk of a Mission: the present Missionary ends, and what it has resting is cancelled."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from sqlalchemy import Engine

from missiondesk.orders.gateway import OrderGateway
from missiondesk.orders.progress import describe
from missiondesk.store.orders import TradeOrders
from missiondesk.store.walks import Walks
from models.errors import MissiondeskError
from models.missionary import Missionary
from models.order import Order

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Restart:
    """`opened` is None when the fresh walk is left to the next tick. `left` says of each order of the ended
    walk that may still rest what it is, where, and why it was not cancelled.
    """

    opened: Missionary | None
    left: tuple[str, ...]


def restart_walk(engine: Engine, gateway: OrderGateway, mission: str | int) -> Restart:
    """The walk ends even if its orders can't be cancelled. Raises UnknownName."""
    # Ended first: a tick that still walks it can't send another order any more.
    restarted = Walks(engine).restart(mission)
    if restarted.ended is None:
        return Restart(restarted.opened, ())
    trouble = "its outcome is not known yet"
    try:
        gateway.cancel_missionary(restarted.ended, "its walk was restarted")
    except MissiondeskError as error:
        log.warning("orders of missionary %s were not cancelled: %s", restarted.ended, error)
        trouble = str(error)
    left = TradeOrders(engine).unsettled(missionary_id=restarted.ended)
    return Restart(restarted.opened, tuple(_told(order, trouble) for order in left))


def _told(order: Order, trouble: str) -> str:
    return f"{describe(order)} ({order.account}, {order.exchange}): {order.reason or trouble}"
