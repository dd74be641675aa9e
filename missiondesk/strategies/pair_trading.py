"""Carries out the moves of a strategy on two markets: an order on the lead, and for what it fills a cover."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from missiondesk.feeds.board import Board, Place
from missiondesk.orders.entry import Holding, fill_price
from missiondesk.orders.progress import describe
from missiondesk.orders.strategy import Wanted
from missiondesk.strategies.depth import priced_for
from missiondesk.strategies.legs import Leg, Legs
from missiondesk.strategies.report import Kind, Report
from missiondesk.strategies.rules import Held, Move, Rules, Step
from missiondesk.strategies.trader import Trader
from models.errors import DatabaseUnreachable, OrderDenied, RetryLater
from models.order import Order

MOST_TAKER_ERRORS: Final = 5
"""In a row, on the covering market; then a person has to look."""

LOOK_EVERY: Final = timedelta(seconds=1)
"""At an order that is under way."""

PAUSE: Final = timedelta(seconds=5)
"""After something was refused or did not answer."""


@dataclass
class _UnderWay:
    order: Order
    looked_at: datetime
    move: Move | None
    """None: it covers."""


class PairTrading:
    """A strategy that trades. `orders` are those that its run has sent before, all of them final.

    amount: of base, each time. patience: how long an order may rest before it is cancelled. No order is sent
    to a market where another one is under way.
    """

    def __init__(
        self,
        rules: Rules,
        legs: Legs,
        amount: Decimal,
        trader: Trader,
        *,
        patience: timedelta,
        orders: Iterable[Order] = (),
    ) -> None:
        self._rules, self._legs, self._amount, self._trader = rules, legs, amount, trader
        self._patience = patience
        self._orders = {order.client_order_id: order for order in orders}
        self.held = legs.held(self._orders.values())
        """What its orders have filled so far."""
        self._under_way: dict[Place, _UnderWay] = {}
        self._pause_until: datetime | None = None
        self._taker_errors = 0
        self._hindrance: str | None = None

    @property
    def stopped(self) -> bool:
        """Whether covering failed so often that nothing more is tried."""
        return self._taker_errors >= MOST_TAKER_ERRORS

    @property
    def earned(self) -> Decimal:
        """In quote units, realised on both markets, after all fees."""
        fees = sum((order.fee for order in self._orders.values()), Decimal(0))
        return self.held.lead.realised + self.held.cover.realised - fees

    def on_quote(self, board: Board, quote: object, now: datetime) -> Sequence[Report]:
        return [*self._rules.news(board, now), *self.work(board, now)]

    def work(self, board: Board, now: datetime) -> Sequence[Report]:
        """One step further. Raises LeaseLost, CallOperator, and DatabaseUnreachable: then begin anew."""
        return list(self._work(board, now))

    def _work(self, board: Board, now: datetime) -> Iterator[Report]:
        yield from self._follow(board, now)
        if self.stopped or (self._pause_until is not None and now < self._pause_until):
            return
        if not self._under_way and self._legs.covering(self.held) is None:
            yield from self._lead(board, now)
        wanted = self._legs.covering(self.held)
        if wanted is not None and self._legs.cover.place not in self._under_way:
            yield from self._place(self._legs.cover, wanted, None, now)

    def _follow(self, board: Board, now: datetime) -> Iterator[Report]:
        for place, under_way in list(self._under_way.items()):
            if now - under_way.looked_at < LOOK_EVERY:
                continue
            under_way.looked_at = now
            reason = self._reason_to_cancel(under_way, board, now)
            if reason is None:
                order = self._trader.follow(under_way.order)
            else:
                order = self._trader.cancel(under_way.order, reason)
            yield from self._note(place, under_way.move, order, now)

    def _reason_to_cancel(self, under_way: _UnderWay, board: Board, now: datetime) -> str | None:
        order, move = under_way.order, under_way.move
        if now - order.created_at >= self._patience:
            return f"not filled within {self._patience.total_seconds():g} s"
        if self.stopped:
            return "its strategy has stopped"
        if move is None or move.price is None:
            return None
        held = Held() if move.step is Step.OPEN else self.held
        return None if move.is_like(self._rules.move(board, held, now)) else "what it was for is gone"

    def _lead(self, board: Board, now: datetime) -> Iterator[Report]:
        held = self.held
        if self._legs.lead.is_dust(held.lead):
            held = replace(held, lead=Holding())
        move = self._rules.move(board, held, now)
        hindrance = None if move is None else self._hindrance_to(move, held, now)
        if hindrance != self._hindrance:
            self._hindrance = hindrance
            if hindrance is not None:
                yield Report(now, Kind.SKIPPED, hindrance)
        if move is None or hindrance is not None:
            return
        lead, cover = self._legs.lead, self._legs.cover
        sold, bought = (lead, cover) if move.side == "sell" else (cover, lead)
        yield Report(now, Kind.TRADE, f"{move.step} sell {sold} buy {bought}: {move.reason}")
        if move.step is Step.OPEN:
            wanted = lead.opening(move.side, self._amount, move.price)
        else:
            wanted = lead.reducing(move.side, abs(held.lead.amount), move.price)
        yield from self._place(lead, wanted, move, now)

    def _hindrance_to(self, move: Move, held: Held, now: datetime) -> str | None:
        """Why the move can't be made now, for a person."""
        for leg in (self._legs.lead, self._legs.cover):
            if (problem := self._trader.problem(leg.place)) is not None:
                return problem
        if move.step is Step.CLOSE:
            return None
        try:
            deep = priced_for(self._amount, self._legs, self._trader, now)
        except DatabaseUnreachable:
            raise
        except RetryLater as error:
            self._pause_until = now + PAUSE
            return str(error)
        if deep is None or move.is_like(self._rules.move(deep, held, now)):
            return None
        self._pause_until = now + PAUSE
        return f"the books do not hold {self._amount:f} at such prices"

    def _place(self, leg: Leg, wanted: Wanted, move: Move | None, now: datetime) -> Iterator[Report]:
        try:
            order = self._trader.place(wanted)
        except DatabaseUnreachable:
            raise
        except (RetryLater, OrderDenied) as error:
            yield Report(now, Kind.SKIPPED, f"{wanted.side} {leg}: {error}")
            yield from self._failed(move, now)
            return
        self._under_way[leg.place] = _UnderWay(order, now, move)
        yield from self._note(leg.place, move, order, now, new=True)

    def _note(
        self, place: Place, move: Move | None, order: Order, now: datetime, *, new: bool = False
    ) -> Iterator[Report]:
        before = self._under_way[place].order
        self._under_way[place].order = order
        self._orders[order.client_order_id] = order
        if order.filled != before.filled or new:
            self.held = self._legs.held(self._orders.values())
        if new or (order.status, order.filled) != (before.status, before.filled):
            yield Report(now, Kind.ORDER, _said(order))
        if not order.status.is_final:
            return
        del self._under_way[place]
        if order.filled == 0:
            yield from self._failed(move, now)
        elif move is None:
            self._taker_errors = 0
            if self._is_flat():
                yield Report(now, Kind.TRADE, f"closed: earned {self.earned:f} so far")

    def _failed(self, move: Move | None, now: datetime) -> Iterator[Report]:
        self._pause_until = now + PAUSE
        if move is not None:
            return
        self._taker_errors += 1
        if self.stopped:
            uncovered = self._legs.covering(self.held)
            what = "" if uncovered is None else f": {uncovered.side} {uncovered.amount:f} {uncovered.symbol}"
            yield Report(
                now, Kind.SKIPPED, f"stopped after {MOST_TAKER_ERRORS} failures to cover{what}; look at it"
            )

    def _is_flat(self) -> bool:
        legs, held = self._legs, self.held
        return legs.lead.is_dust(held.lead) and legs.cover.is_dust(held.cover)


def _said(order: Order) -> str:
    because = f", {order.reason}" if order.reason else ""
    at = f" at {fill_price(order):f}" if order.filled else ""
    return (
        f"{order.client_order_id} {order.exchange} {describe(order)}: {order.status}, "
        f"{order.filled:f} filled{at}{because}"
    )
