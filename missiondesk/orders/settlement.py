"""Brings an order's row to what the venue shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from missiondesk.exchanges.port import MarketData, Trading
from missiondesk.orders.patience import Patience
from missiondesk.orders.reconcile import after_absence, after_report
from missiondesk.orders.venues import Venues
from missiondesk.store.orders import TradeOrders
from models.errors import ExchangeUnreachable, UnknownName, VenueClosed
from models.market import Instrument
from models.order import ExchangeOrder, Order, OrderStatus

_ZERO = Decimal(0)

# Clocks differ: an order is looked for from a little before it was sent.
_CLOCK_SKEW = timedelta(minutes=1)


@dataclass(frozen=True)
class Settlement:
    """Follows orders that may be at the venue. `market` gives the public side of an exchange by its name."""

    orders: TradeOrders
    venues: Venues
    market: Callable[[str], MarketData]
    clock: Callable[[], datetime]
    patience: Patience

    def instrument(self, exchange: str, symbol: str) -> Instrument:
        """Raises UnknownName for a symbol that the exchange does not list."""
        instruments = self.market(exchange).instruments()
        if symbol not in instruments:
            raise UnknownName(f"symbol on {exchange}", symbol, instruments)
        return instruments[symbol]

    def look_up(self, order: Order, *, cancel: str | None = None) -> Order:
        """Ask the venue about an order and write what it says; `cancel` is why a resting one is cancelled.

        A venue that does not answer changes nothing but the reason shown; one that no longer knows the market
        does not have the order either.
        """
        asked_at = self.clock()
        account = self.orders.account(order.account)
        try:
            listed = self.market(order.exchange).instruments().get(order.symbol)
            with self.venues.turn(account, order.mode) as trading:
                report = _found(trading, order)
                if report is not None and report.status == "open" and cancel is not None:
                    report = trading.cancel(report)
        except ExchangeUnreachable as error:
            return self._write(order, order.model_copy(update={"reason": str(error)}))
        if report is None:
            return self._write(order, after_absence(order, asked_at, self.patience))
        after = after_report(order, report, _ZERO if listed is None else listed.lot)
        if cancel is not None and after.status is OrderStatus.CANCELLED:
            after = after.model_copy(update={"reason": cancel})
        return self._write(order, after)

    def discard(self, order: Order, reason: str) -> Order:
        """Take back an intent. When another process has sent it meanwhile, the order it became."""
        return self._write(
            order, order.model_copy(update={"status": OrderStatus.CANCELLED, "reason": reason})
        )

    def end(self, order: Order, reason: str) -> Order:
        """Take back or cancel an order that is not final, whatever it is now."""
        if order.status is OrderStatus.INTENT:
            order = self.discard(order, f"not sent: {reason}")
        if order.status.is_final:
            return order
        ended = self.look_up(order, cancel=reason)
        if order.status is not OrderStatus.OPEN and ended.status is OrderStatus.OPEN:
            # It got there just after it was looked for.
            ended = self.look_up(ended, cancel=reason)
        return ended

    def _write(self, before: Order, after: Order) -> Order:
        return self.orders.move(before, after, self.clock())


def _found(trading: Trading, order: Order) -> ExchangeOrder | None:
    since = (order.sent_at or order.created_at) - _CLOCK_SKEW
    try:
        return trading.find(
            order.client_order_id, order.symbol, since=since, exchange_order_id=order.exchange_order_id
        )
    except (UnknownName, VenueClosed):  # delivered, or taken off the list
        return None
