"""The run that the orders of one market and account belong to, whichever program sends them."""

from __future__ import annotations

from contextlib import ExitStack
from functools import cached_property
from typing import Final

from missiondesk.desk import Desk
from missiondesk.orders.progress import describe
from missiondesk.orders.strategy import StrategyGateway, Wanted
from missiondesk.store.orders import TradeOrders
from missiondesk.store.strategy_runs import StrategyRuns
from models.account import Mode
from models.errors import DataStale, ExchangeUnreachable, InputRefused, OrderDenied
from models.order import Order, OrderStatus

STRATEGY: Final = "markets"

_UNANSWERED: Final = frozenset({OrderStatus.SENT, OrderStatus.UNKNOWN})


def is_answered(order: Order) -> bool:
    """Whether the venue has said what became of it, or it was never sent."""
    return order.status not in _UNANSWERED


class MarketRun:
    """Orders through the gateway for one market, `place` (`exchange:SYMBOL`), as one account.

    The first order settles what an earlier program left, and keeps others out until `leave`, or the end of
    this process. Not for several threads at once.
    """

    def __init__(self, desk: Desk, place: str, account: str, mode: Mode) -> None:
        self._desk, self._place = desk, place
        self.account, self.mode = account, mode
        self._orders = TradeOrders(desk.engine)
        self._alone: ExitStack | None = None
        self._newest: Order | None = None

    def place(self, wanted: Wanted) -> Order:
        """As StrategyGateway.place. Also raises ExchangeUnreachable while an earlier order may still turn up,
        and InputRefused while another process trades for the run.
        """
        self._begin()
        self._reconcile()
        try:
            self._newest = self._gateway.place(wanted)
        except (OrderDenied, ExchangeUnreachable, DataStale):
            raise  # Nothing was sent.
        except BaseException:
            # What was sent is not known here; beginning anew looks it up.
            self.leave()
            raise
        return self._newest

    def known(self, order: Order | str) -> Order:
        """As its row says now; an order may be given by its client order id. Raises InputRefused."""
        wanted = order if isinstance(order, str) else order.client_order_id
        for known in self._orders.of_run(self._run_id):
            if known.client_order_id == wanted:
                return known
        raise InputRefused(
            f"expected an order of {self._place} as {self.account}, or its client order id, got {wanted}"
        )

    def follow(self, order: Order) -> Order:
        """As its venue shows it now. One that another process is about to send stays as it is."""
        return order if order.status is OrderStatus.INTENT else self._gateway.follow(order)

    def cancel(self, order: Order) -> Order:
        """Once it is asked to end; one that is already filled is not an error."""
        return self._gateway.cancel(order, "deleted")

    def leave(self) -> None:
        """Let another process trade for the run. The next order begins anew."""
        if self._alone is not None:
            alone, self._alone = self._alone, None
            alone.close()

    @cached_property
    def _run_id(self) -> int:
        leg = f"{self._place}@{self.account}"
        return StrategyRuns(self._desk.engine).open(STRATEGY, self.mode, [leg])

    @cached_property
    def _gateway(self) -> StrategyGateway:
        return self._desk.strategy_gateway(self._run_id, self.mode)

    def _begin(self) -> None:
        if self._alone is None:
            with ExitStack() as alone:
                alone.enter_context(StrategyRuns(self._desk.engine).alone(self._run_id))
                self._gateway.settle()
                self._newest = None
                self._alone = alone.pop_all()

    def _reconcile(self) -> None:
        newest = self._newest
        if newest is None or is_answered(newest):
            return
        self._newest = newest = self._gateway.follow(newest)
        if not is_answered(newest):
            raise ExchangeUnreachable(
                f"no answer yet about {describe(newest)} (client id {newest.client_order_id}), "
                f"nothing else is sent while it may turn up: {newest.reason}"
            )
