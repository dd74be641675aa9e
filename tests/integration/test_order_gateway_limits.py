"""No sequence of orders, fills, faults, crashes, halts and days gets past the limits or the kill switch.

What went out is taken from the venue's own record and weighed here anew, by plain accounting.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import get_args
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete, event, insert, select, text
from sqlalchemy.exc import ProgrammingError

from missiondesk.orders.killswitch import KillSwitch
from missiondesk.orders.patience import Patience
from models import tables
from models.errors import DatabaseUnreachable, ExchangeUnreachable
from models.market import Side
from models.order import ExchangeOrder, TradeRequest
from tests.faults.crashes import Countdown, Crash
from tests.little_venue import ETHER, PERPETUAL, Fault, LittleVenue
from tests.order_desk import OrderDesk, at_place, little_desk

MARKETS = {PERPETUAL.symbol: PERPETUAL, ETHER.symbol: ETHER}
PRICES = {PERPETUAL.symbol: Decimal(100), ETHER.symbol: Decimal(50)}
SLIPPAGE = Decimal("0.01")

Limits = dict[str, Decimal | int | None]

FAR = Decimal(10**6)

limits = st.fixed_dictionaries(
    {
        "max_order_notional": st.sampled_from([Decimal(1500), FAR]),
        "max_open_exposure": st.sampled_from([None, Decimal(3000), FAR]),
        "max_orders_per_minute": st.sampled_from([None, 2, 4]),
        "max_daily_loss": st.sampled_from([Decimal(60), FAR]),
    }
)
crash_points = st.none() | st.integers(0, 25)


@dataclass(frozen=True)
class Asked:
    """An order as a Task asks for it; `below` the price that many units, None at the market."""

    symbol: str
    side: Side
    amount: int
    below: int | None
    reduces: bool


asks = st.builds(
    Asked,
    symbol=st.sampled_from([PERPETUAL.symbol, PERPETUAL.symbol, ETHER.symbol]),
    side=st.sampled_from(["buy", "buy", "sell"]),
    amount=st.sampled_from([5, 12, 25]),
    below=st.sampled_from([None, None, -10, 0, 10]),
    reduces=st.sampled_from([False, False, False, True]),
)


class Weighed(RuleBasedStateMachine):
    """Orders of one Mission on a contract market, long and short, and on a spot market."""

    def __init__(self, desk: OrderDesk, folder: Path) -> None:
        super().__init__()
        self.desk = desk
        self.venue = desk.venue = LittleVenue(folder / f"{uuid4().hex}.sqlite", desk.clock)
        self.venue.deposit({"USD": "1000000", "ETH": "0", "BTC": "0"})
        desk.patience = Patience(venue_wait=timedelta(milliseconds=10))
        self.prices: dict[str, Decimal] = {}
        for symbol, price in PRICES.items():
            self._quote(symbol, price)
        desk.clock.now = desk.clock.now.replace(hour=8, minute=0) + timedelta(days=1)
        self.openings = dict(PRICES)
        with desk.engine.connect() as connection:
            connection.execute(delete(tables.trade_order))
            connection.execute(delete(tables.carried_holding))
        desk.resume()
        self.request = replace(desk.open_missionary(), exchange="little")
        self.places: list[TradeRequest] = []
        self.sent_at: dict[str, float] = {}
        self.carried = dict.fromkeys(MARKETS, Decimal(0))
        self.yesterday: set[str] = set()
        self.halted = self.reducing_pass = False
        self.countdown = Countdown()
        event.listen(desk.engine, "before_cursor_execute", self.countdown.step)

    def teardown(self) -> None:
        event.remove(self.desk.engine, "before_cursor_execute", self.countdown.step)

    @initialize(limits=limits)
    def the_first_limits(self, limits: Limits) -> None:
        self._set(limits)

    @rule(limits=limits)
    def the_limits_are_changed(self, limits: Limits) -> None:
        self._set(limits)

    @rule(asked=st.lists(asks, min_size=3, max_size=6))
    def orders_are_asked_for(self, asked: list[Asked]) -> None:
        for each in asked:
            self._work(self._at_next_place(each), None, None)

    @rule(asked=asks, fault=st.sampled_from(get_args(Fault)), crash_at=crash_points)
    def an_order_runs_into_trouble(self, asked: Asked, fault: Fault, crash_at: int | None) -> None:
        self._work(self._at_next_place(asked), fault, crash_at)

    @precondition(lambda self: self.places)
    @rule(draw=st.integers(0, 10**6), crash_at=crash_points)
    def a_tick_goes_on_with_a_place(self, draw: int, crash_at: int | None) -> None:
        self._work(self.places[-1 - draw % len(self.places)], None, crash_at)

    @rule(symbol=st.sampled_from(list(MARKETS)), percent=st.sampled_from([-40, -10, -3, 3, 10, 60]))
    def the_price_moves(self, symbol: str, percent: int) -> None:
        moved = (self.prices[symbol] * (100 + percent) / 100).quantize(Decimal("0.1"))
        self._quote(symbol, max(Decimal(10), moved))

    @precondition(lambda self: self._open())
    @rule(amount=st.integers(1, 30))
    def the_market_fills_some(self, amount: int) -> None:
        self.venue.fill(str(amount))

    @rule(seconds=st.sampled_from([1, 20, 61]))
    def time_passes(self, seconds: int) -> None:
        self.desk.clock.forward(seconds)
        self.desk.gateway("upkeep").follow_all()

    @rule()
    def a_day_begins(self) -> None:
        """Nothing rests over this midnight, and what was lost before it is forgiven."""
        for order in self._open():
            self.venue.cancel(order)
        for _ in range(2):
            self.desk.clock.forward(60)
            self.desk.gateway("upkeep").follow_all()
        self.desk.clock.now = self.desk.clock.now.replace(hour=0, minute=0) + timedelta(days=1, seconds=1)
        self.openings = dict(self.prices)
        self.carried = {symbol: self._held(symbol) for symbol in MARKETS}
        self.yesterday = {order.exchange_order_id for order in self.venue.accepted()}

    @rule(reduce_only=st.booleans(), keep_open=st.booleans(), asked=st.lists(asks, min_size=1, max_size=3))
    def the_desk_is_halted_for_a_while(self, reduce_only: bool, keep_open: bool, asked: list[Asked]) -> None:
        desk = self.desk
        switch = KillSwitch(desk.engine, desk.trading, desk.market, clock=desk.clock, patience=desk.patience)
        shown = {order.client_order_id for order in self._shown_open()}
        switch.halt(reduce_only=reduce_only, keep_open=keep_open)
        self.halted, self.reducing_pass = True, reduce_only
        resting = shown & {order.client_order_id for order in self._open()}
        reducing = {row.client_order_id for row in desk.rows() if row.reduce_only}
        assert resting == (shown if keep_open else shown & reducing if reduce_only else set())
        self.orders_are_asked_for(asked)
        for place in self.places[-2:]:
            self._work(place, None, None)
        switch.resume()
        self.halted = False

    @precondition(lambda self: self.places)
    @rule()
    def the_kill_switch_cannot_be_read(self) -> None:
        """Neither without its table nor without its row does anything go out."""
        before, request = len(self.venue.accepted()), at_place(self.request, len(self.places))
        with self._no_table(), pytest.raises(ProgrammingError):
            self.desk.gateway().work(request, self.desk.clock())
        with self._no_row():
            assert self.desk.gateway().work(request, self.desk.clock()).rule == "DENIED"
        assert len(self.venue.accepted()) == before

    @invariant()
    def each_order_went_out_once(self) -> None:
        ids = [order.client_order_id for order in self.venue.accepted()]
        assert len(set(ids)) == len(ids)

    def _at_next_place(self, asked: Asked) -> TradeRequest:
        """On the spot market it buys, or sells of what the Mission has."""
        request = replace(
            at_place(self.request, len(self.places)),
            symbol=asked.symbol,
            side="sell" if asked.reduces else "buy" if asked.symbol == ETHER.symbol else asked.side,
            amount=Decimal(asked.amount),
            price=None if asked.below is None else self.prices[asked.symbol] - asked.below,
            reduce_only=asked.reduces,
            timeout_seconds=60,
        )
        self.places.append(request)
        return request

    def _set(self, limits: Limits) -> None:
        self.limits = limits
        self.desk.set_account(**limits, slippage=SLIPPAGE)

    def _quote(self, symbol: str, price: Decimal) -> None:
        self.prices[symbol] = price
        self.venue.quote(symbol, f"{price}", f"{price}")

    def _work(self, request: TradeRequest, fault: Fault | None, crash_at: int | None) -> None:
        before = self.venue.accepted()
        faults = [fault]
        self.venue.fault = lambda call: faults.pop() if call == "place" and faults else None
        self.countdown.left = crash_at
        try:
            with suppress(Crash, DatabaseUnreachable, ExchangeUnreachable):
                self.desk.gateway().work(request, self.desk.clock())
        finally:
            self.countdown.left = None
            self.venue.fault = lambda call: None
        for sent in self.venue.accepted()[len(before) :]:
            self._weigh(sent, before, reduces=request.reduce_only)

    def _weigh(self, sent: ExchangeOrder, before: list[ExchangeOrder], *, reduces: bool) -> None:
        """One order that just went out, after all that went out before it."""
        assert not self.halted or (self.reducing_pass and reduces), "halted"
        now = self.desk.clock.now.timestamp()
        self.sent_at[sent.exchange_order_id] = now
        last_minute = [at for at in self.sent_at.values() if at > now - 60]
        assert len(last_minute) <= (self.limits["max_orders_per_minute"] or 10**6), "orders per minute"
        if reduces:
            assert sent.amount <= self._reducible(sent, before)
            return
        price = self.prices[sent.symbol]
        worst = sent.price or price * (1 + SLIPPAGE)
        if sent.side == "sell":  # it trades at the bid, however low its limit
            worst = max(worst, price)
        assert sent.amount * worst <= _limit(self.limits["max_order_notional"]), "notional"
        # What it filled at once came after the decision.
        unfilled = replace(sent, filled=Decimal(0), status="open")
        was, becomes = (
            self._exposure(orders, sent.symbol, worst) for orders in (before, [*before, unfilled])
        )
        assert becomes <= was or becomes <= _limit(self.limits["max_open_exposure"]), "exposure"
        if self._all_is_known(before):
            assert -self._day_gain(before) < _limit(self.limits["max_daily_loss"]), "daily loss"

    def _exposure(self, orders: list[ExchangeOrder], own: str, worst: Decimal) -> Decimal:
        total = Decimal(0)
        for symbol, instrument in MARKETS.items():
            of_market = [order for order in orders if order.symbol == symbol]
            resting = [order for order in of_market if order.status == "open"]
            held = sum((_signed(order, order.filled) for order in of_market), Decimal(0))
            buys = sum((order.amount - order.filled for order in resting if order.side == "buy"), Decimal(0))
            sells = sum(
                (order.amount - order.filled for order in resting if order.side == "sell"), Decimal(0)
            )
            most = max(held + buys, sells - held if instrument.is_contract else Decimal(0), Decimal(0))
            total += most * (max(self.prices[symbol], worst) if symbol == own else self.prices[symbol])
        return total

    def _day_gain(self, orders: list[ExchangeOrder]) -> Decimal:
        """What is owned now less what was owned at midnight, less what today's fills cost."""
        gained = Decimal(0)
        for symbol, price in self.prices.items():
            today = [
                order
                for order in orders
                if order.symbol == symbol and order.exchange_order_id not in self.yesterday
            ]
            held = self.carried[symbol] + sum((_signed(order, order.filled) for order in today), Decimal(0))
            gained += held * price - self.carried[symbol] * self.openings[symbol]
            gained -= sum((_signed(order, order.cost) + order.fee for order in today), Decimal(0))
        return gained

    def _all_is_known(self, orders: list[ExchangeOrder]) -> bool:
        """Whether our rows have caught up with what the venue has done."""
        filled = {row.client_order_id: row.filled for row in self.desk.rows()}
        return all(filled[order.client_order_id or ""] == order.filled for order in orders)

    def _reducible(self, sent: ExchangeOrder, before: list[ExchangeOrder]) -> Decimal:
        held = sum(
            (_signed(order, order.filled) for order in before if order.symbol == sent.symbol), Decimal(0)
        )
        return held if sent.side == "sell" else -held

    def _held(self, symbol: str) -> Decimal:
        orders = (order for order in self.venue.accepted() if order.symbol == symbol)
        return sum((_signed(order, order.filled) for order in orders), Decimal(0))

    def _open(self) -> list[ExchangeOrder]:
        return [order for order in self.venue.accepted() if order.status == "open"]

    def _shown_open(self) -> list[ExchangeOrder]:
        """Those of them that the venue already shows."""
        since = self.desk.clock.now - timedelta(days=9)
        found = (
            self.venue.find(order.client_order_id or "", order.symbol, since=since) for order in self._open()
        )
        return [order for order in found if order is not None]

    @contextmanager
    def _no_table(self) -> Iterator[None]:
        with self.desk.engine.connect() as connection:
            connection.execute(text("ALTER TABLE desk RENAME TO away"))
            try:
                yield
            finally:
                connection.execute(text("ALTER TABLE away RENAME TO desk"))

    @contextmanager
    def _no_row(self) -> Iterator[None]:
        with self.desk.engine.connect() as connection:
            row = connection.execute(select(tables.desk)).one()._asdict()
            connection.execute(delete(tables.desk))
            try:
                yield
            finally:
                connection.execute(insert(tables.desk).values(row))


def _signed(order: ExchangeOrder, quantity: Decimal) -> Decimal:
    return quantity if order.side == "buy" else -quantity


def _limit(limit: Decimal | int | None) -> Decimal:
    return Decimal(10**12) if limit is None else Decimal(limit)


def test_nothing_gets_past_the_limits_or_the_kill_switch(database_url: str, tmp_path: Path) -> None:
    with little_desk(database_url, tmp_path) as desk:

        class Here(Weighed):
            def __init__(self) -> None:
                super().__init__(desk, tmp_path)

        run_state_machine_as_test(
            Here,
            settings=settings(
                max_examples=15,
                stateful_step_count=20,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                phases=[Phase.generate],  # each step asks the database: no time to shrink
            ),
        )
