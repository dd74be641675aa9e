"""The order gateway as a strategy's run uses it: one order at a time and market, every one of them once."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from sqlalchemy import Engine

from missiondesk.exchanges.port import MarketData, Trading
from missiondesk.orders.gateway import utc_now
from missiondesk.orders.patience import Patience
from missiondesk.orders.progress import describe
from missiondesk.orders.reconcile import Send
from missiondesk.orders.sending import Sender
from missiondesk.orders.settlement import Settlement
from missiondesk.orders.sizing import Denied
from missiondesk.orders.terms import Quotes
from missiondesk.orders.venues import Venues
from missiondesk.store.orders import TradeOrders
from models.account import Account, Mode
from models.errors import ExchangeUnreachable, OrderDenied
from models.market import Side
from models.order import AmountUnit, Order, OrderStatus, StrategyKey, TradeRequest

# Beyond the time in which an order that was sent may still turn up.
_SETTLING_MARGIN: Final = timedelta(seconds=10)
_PAUSE_SECONDS: Final = 1.0


@dataclass(frozen=True)
class Wanted:
    """An order that a strategy wants. `amount` is in `unit`, `price` None means at market.

    `leverage` is for contract markets; None leaves it to the venue. `whole_position`: see TradeRequest.
    """

    account: str
    exchange: str
    symbol: str
    side: Side
    amount: Decimal
    unit: AmountUnit = "base"
    price: Decimal | None = None
    reduce_only: bool = False
    leverage: Decimal | None = None
    whole_position: bool = False


class StrategyGateway:
    """Sends the orders of one run, which nobody else may be working for. The arguments are OrderGateway's.

    Orders are numbered in the order in which they are sent; a number and its market make the client order id.
    """

    def __init__(
        self,
        engine: Engine,
        trading: Callable[[Account, Mode], Trading],
        market: Callable[[str], MarketData],
        run_id: int,
        mode: Mode,
        *,
        clock: Callable[[], datetime] = utc_now,
        patience: Patience | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._run_id, self._mode = run_id, mode
        self._clock, self._pause = clock, pause
        self._patience = patience or Patience()
        self._orders = TradeOrders(engine)
        venues = Venues(engine, trading, self._patience)
        self._settlement = Settlement(self._orders, venues, market, clock, self._patience)
        quotes = Quotes(self._orders, market, clock, self._patience.price_age)
        self._sender = Sender(self._settlement, quotes, "", clock)
        self._newest: Order | None = None

    def settle(self) -> list[Order]:
        """Every order of the run, oldest first, all of them final: what still rests is cancelled.

        To be called before anything is placed. Raises ExchangeUnreachable when that takes too long.
        """
        patience = self._patience.send_window + self._patience.absence_margin + _SETTLING_MARGIN
        give_up_at = self._clock() + patience
        while True:
            orders = self._orders.of_run(self._run_id)
            unsettled = [order for order in orders if not order.status.is_final]
            self._newest = orders[-1] if orders else None
            if not unsettled:
                return orders
            if self._clock() >= give_up_at:
                first = unsettled[0]
                raise ExchangeUnreachable(
                    f"{len(unsettled)} orders of an earlier run have not settled, so nothing new is sent; "
                    f"{describe(first)} (client id {first.client_order_id}) is {first.status}"
                    + (f": {first.reason}" if first.reason else "")
                )
            ended = [self.cancel(order, "its strategy began anew") for order in unsettled]
            if not all(order.status.is_final for order in ended):
                self._pause(_PAUSE_SECONDS)

    def place(self, wanted: Wanted) -> Order:
        """The order as it stands after it was sent: it may rest, be unknown, or be denied or rejected.

        Raises OrderDenied when not even a denial could be written, LeaseLost when another process sends for
        this run, ExchangeUnreachable or DataStale before anything was sent, CredentialsRefused, VenueClosed.
        """
        key, send = self._next(wanted)
        request = TradeRequest(
            key=key,
            mission_id=None,
            task_id=None,
            account=wanted.account,
            mode=self._mode,
            exchange=wanted.exchange,
            symbol=wanted.symbol,
            side=wanted.side,
            amount=wanted.amount,
            unit=wanted.unit,
            price=wanted.price,
            reduce_only=wanted.reduce_only,
            leverage=wanted.leverage,
            whole_position=wanted.whole_position,
        )
        outcome = self._sender.send(request, send)
        if isinstance(outcome, Order):
            self._newest = outcome
            return outcome
        raise OrderDenied(outcome.reason if isinstance(outcome, Denied) else "nothing is left to order")

    def follow(self, order: Order) -> Order:
        """The order as its venue shows it now."""
        return self._settlement.look_up(order)

    def cancel(self, order: Order, reason: str) -> Order:
        """The order once it is asked to end; one that is already filled is not an error."""
        return self._settlement.end(order, reason)

    def _next(self, wanted: Wanted) -> tuple[StrategyKey, Send]:
        newest = self._newest
        place = (wanted.exchange, wanted.symbol, wanted.side)
        if newest is None or newest.sequence is None:
            return StrategyKey(self._run_id, 1, wanted.exchange, wanted.symbol), Send(0)
        if newest.status is not OrderStatus.DENIED:
            return StrategyKey(self._run_id, newest.sequence + 1, wanted.exchange, wanted.symbol), Send(0)
        same = (newest.exchange, newest.symbol, newest.side) == place
        key = StrategyKey(self._run_id, newest.sequence, wanted.exchange, wanted.symbol)
        return key, Send(newest.attempt + 1, denied=newest if same else None)
