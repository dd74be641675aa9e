"""The kill switch: no new orders from now on, and nothing left resting."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine

from missiondesk.exchanges.port import MarketData, Trading
from missiondesk.orders.patience import Patience
from missiondesk.orders.settlement import Settlement
from missiondesk.orders.venues import Venues
from missiondesk.store.orders import TradeOrders
from models.account import Account, Mode
from models.order import Order

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Halted:
    """What halting did: the orders that are final now, and those that are not, each with the reason."""

    ended: tuple[Order, ...]
    unsettled: tuple[tuple[Order, str], ...]


class KillSwitch:
    """Halts and resumes a desk. The arguments are those of OrderGateway; no lease is needed."""

    def __init__(
        self,
        engine: Engine,
        trading: Callable[[Account, Mode], Trading],
        market: Callable[[str], MarketData],
        *,
        clock: Callable[[], datetime],
        patience: Patience | None = None,
    ) -> None:
        patience = patience or Patience()
        self._orders, self._clock = TradeOrders(engine), clock
        venues = Venues(engine, trading, patience)
        self._settlement = Settlement(self._orders, venues, market, clock, patience)

    def halt(self, *, reduce_only: bool = False, keep_open: bool = False) -> Halted:
        """Deny every new order from now on, then cancel what rests on all accounts.

        `reduce_only` lets orders that reduce a position pass, and rest; `keep_open` leaves all that rests. An
        order that could not be cancelled is in `unsettled`; halting again tries again.
        """
        self._orders.halt(reduce_only=reduce_only, at=self._clock())
        if keep_open:
            return Halted((), ())
        ended: list[Order] = []
        unsettled: list[tuple[Order, str]] = []
        for order in self._orders.unsettled():
            if reduce_only and order.reduce_only:
                continue
            try:
                order = self._settlement.end(order, "the desk was halted")
            except Exception as error:
                # Whatever is wrong with one order must not keep the others open.
                log.error("order %s could not be cancelled: %s", order.client_order_id, error)
                unsettled.append((order, str(error)))
                continue
            if order.status.is_final:
                ended.append(order)
            else:
                unsettled.append((order, order.reason or f"still {order.status}"))
        return Halted(tuple(ended), tuple(unsettled))

    def resume(self) -> None:
        """Let new orders pass again. What was cancelled is not placed again by this."""
        self._orders.resume()
