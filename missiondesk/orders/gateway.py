"""The order gateway: exactly one order per place of a Missionary, through a crash at any instant."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import assert_never

from sqlalchemy import Engine

from missiondesk.exchanges.port import MarketData, Trading
from missiondesk.orders import progress
from missiondesk.orders.entry import holding_after
from missiondesk.orders.exposure import day_began
from missiondesk.orders.patience import Patience
from missiondesk.orders.reconcile import Discard, Done, LookUp, Send, absent_after, next_step
from missiondesk.orders.sending import Sender
from missiondesk.orders.settlement import Settlement
from missiondesk.orders.sizing import Denied
from missiondesk.orders.terms import Quotes
from missiondesk.orders.venues import Venues
from missiondesk.store.orders import TradeOrders
from models.account import Account, Mode
from models.order import LeafKey, Order, OrderProgress, OrderStatus, Position, TradeRequest

log = logging.getLogger(__name__)

_MAY_BE_AT_VENUE = (OrderStatus.SENT, OrderStatus.UNKNOWN, OrderStatus.OPEN)

# Between look-ups of a market order just sent.
_FIRST_PAUSE_SECONDS = 0.1


def utc_now() -> datetime:
    return datetime.now(UTC)


class OrderGateway:
    """Implements `missiondesk.templates.context.Orders` for the tick of one flow run, `holder`.

    `trading` gives the private side of an account, `market` the public side of an exchange by its name; both
    keep what is costly to open. The engine's pool must give two connections at once. `clock` stamps what is
    sent; the `now` of a call, never taken as later than the clock, is what waits are measured up to.
    """

    def __init__(
        self,
        engine: Engine,
        trading: Callable[[Account, Mode], Trading],
        market: Callable[[str], MarketData],
        holder: str,
        *,
        clock: Callable[[], datetime] = utc_now,
        patience: Patience | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._patience = patience or Patience()
        self._clock, self._pause = clock, pause
        self._orders = TradeOrders(engine)
        venues = Venues(engine, trading, self._patience)
        self._settlement = Settlement(self._orders, venues, market, clock, self._patience)
        quotes = Quotes(self._orders, market, clock, self._patience.price_age)
        self._sender = Sender(self._settlement, quotes, holder, clock)

    def work(self, request: TradeRequest, now: datetime) -> OrderProgress:
        """One step further with the order of a place; sends at most one, and only when none is under way.

        Raises LeaseLost, UnknownName for the account or symbol, ExchangeUnreachable or DataStale when prices
        or balances can't be had (nothing was sent), CredentialsRefused and VenueClosed.
        """
        now = min(now, self._clock())
        attempts = self._orders.attempts(request.key)
        while True:
            market = attempts[-1] if attempts else request
            instrument = self._settlement.instrument(market.exchange, market.symbol)
            match next_step(attempts, instrument, request.timeout_seconds, now):
                case Done():
                    return progress.done(attempts)
                case Send() as send:
                    return self._send(request, send, attempts)
                case Discard(order):
                    newest = self._settlement.discard(order, "not sent: its tick had ended")
                case LookUp(order, overdue):
                    overtime = f"cancelled after {request.timeout_seconds:g} s" if overdue else None
                    newest = self._settlement.look_up(order, cancel=overtime)
                    followed = [*attempts[:-1], newest]
                    settled = newest.status.is_final and newest.status is not OrderStatus.REJECTED
                    # With nothing filled the decision is made anew at the next tick, with all its checks.
                    if not (settled and any(order.filled > 0 for order in followed)):
                        return self._not_done(followed)
                case unexpected:
                    assert_never(unexpected)
            attempts = [*attempts[:-1], newest]

    def filled(self, key: LeafKey) -> bool:
        """Whether the order of this place is filled to within one lot, as far as its rows know."""
        attempts = self._orders.attempts(key)
        if not any(order.filled > 0 for order in attempts) or not attempts[-1].status.is_final:
            return False
        newest = attempts[-1]
        instrument = self._settlement.instrument(newest.exchange, newest.symbol)
        return isinstance(next_step(attempts, instrument, None, self._clock()), Done)

    def started(self, key: LeafKey) -> Order | None:
        """The newest order of this place, if one may be at the venue or has filled anything; else None."""
        attempts = self._orders.attempts(key)
        if not attempts:
            return None
        under_way = attempts[-1].status in _MAY_BE_AT_VENUE or any(order.filled > 0 for order in attempts)
        return attempts[-1] if under_way else None

    def position(
        self, account: str, mode: Mode, mission_id: int, exchange: str, symbol: str
    ) -> Position | None:
        """The open position of this Mission's chain with its volume-weighted entry; None when flat.

        Its unrealised gain is left at 0: it takes a price to know it.
        """
        instrument = self._settlement.instrument(exchange, symbol)
        book = self._orders.chain_book(account, mode, mission_id, exchange, symbol)
        holding = holding_after(book, instrument)
        if abs(holding.amount) < instrument.lot:
            return None
        return Position(symbol, holding.amount, holding.entry_price)

    def closable(
        self, account: str, mode: Mode, mission_id: int, exchange: str, symbol: str
    ) -> Position | None:
        """What there is to close; None when flat. Raises ExchangeUnreachable.

        In a contract market it is the position that the venue shows of the account, whoever opened it,
        elsewhere that of this Mission's chain.
        """
        if not self._settlement.instrument(exchange, symbol).is_contract:
            return self.position(account, mode, mission_id, exchange, symbol)
        with self._settlement.venues.turn(self._orders.account(account), mode) as trading:
            return next((each for each in trading.positions() if each.symbol == symbol), None)

    def cancel_missionary(self, missionary_id: int, reason: str = "its missionary expired") -> int:
        """Cancel what a Missionary has resting; how many of its orders have not settled yet."""
        ended = [
            self._settlement.end(order, reason)
            for order in self._orders.unsettled(missionary_id=missionary_id)
        ]
        return sum(not order.status.is_final for order in ended)

    def follow_all(self) -> int:
        """Look up every order that may be at a venue, whoever sent it; how many have not settled yet.

        Orders of Missions that no longer tick are followed by this alone, and intents that a dead tick left
        behind are taken back. Once a day, what settled before is added up for the limits.
        """
        self._orders.keep_carried(day_began(self._clock()))
        followed = [self._follow(order) for order in self._orders.unsettled()]
        return sum(not order.status.is_final for order in followed)

    def _follow(self, order: Order) -> Order:
        try:
            if order.status is not OrderStatus.INTENT:
                return self._settlement.look_up(order)
            if self._clock() - order.created_at > self._patience.send_window:
                return self._settlement.discard(order, "not sent: its tick had ended")
        except Exception as error:
            # Whatever is wrong with one order must not keep the others from being followed.
            log.warning("order %s could not be followed: %s", order.client_order_id, error)
        return order

    def _send(self, request: TradeRequest, send: Send, attempts: list[Order]) -> OrderProgress:
        if (moved := _moved(request, attempts)) is not None:
            return moved
        outcome = self._sender.send(request, send)
        match outcome:
            case Done():
                return progress.done(attempts)
            case Denied(reason):
                return OrderProgress(False, "DENIED", reason)
            case Order():
                pass
            case unexpected:
                assert_never(unexpected)
        order = self._until_filled(outcome)
        earlier = [attempt for attempt in attempts if attempt.attempt != order.attempt]
        instrument = self._settlement.instrument(order.exchange, order.symbol)
        if isinstance(next_step([*earlier, order], instrument, None, self._clock()), Done):
            return progress.done([*earlier, order])
        return self._not_done([*earlier, order])

    def _until_filled(self, order: Order) -> Order:
        """Follow a market order just sent for a moment: it normally fills at once."""
        give_up_at = self._clock() + self._patience.fill_wait
        pause = _FIRST_PAUSE_SECONDS
        while order.type == "market" and order.status is OrderStatus.OPEN and self._clock() < give_up_at:
            order = self._settlement.look_up(order)
            if order.status is OrderStatus.OPEN:
                self._pause(pause)
                pause *= 2
        return order

    def _not_done(self, attempts: list[Order]) -> OrderProgress:
        return progress.not_done(attempts, absent_after(attempts[-1], self._patience))


def _moved(request: TradeRequest, attempts: list[Order]) -> OrderProgress | None:
    """A denial when the Task was edited to another market or side after part of its order had filled."""
    begun = next((order for order in attempts if order.filled > 0), None)
    if begun is None or (begun.exchange, begun.symbol, begun.side) == (
        request.exchange,
        request.symbol,
        request.side,
    ):
        return None
    reason = (
        f"this place has already filled {begun.filled:f} of {progress.describe(begun)} and its Task now asks "
        f"to {request.side} {request.symbol}; end the present Missionary with: missiondesk restart"
    )
    return OrderProgress(False, "DENIED", reason, begun.filled, begun.average, begun)
