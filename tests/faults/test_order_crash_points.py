"""A crash at any step of a tick, in any order with faults of the venue, never makes a second order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import event

from missiondesk.orders.patience import Patience
from models.account import Mode
from models.errors import DatabaseUnreachable, ExchangeUnreachable, LeaseLost
from models.market import Side
from models.order import ExchangeOrder, OrderType
from tests.faults.chaos import KILLS
from tests.faults.crashes import Countdown, Crash
from tests.little_venue import BITCOIN, Fault, LittleVenue
from tests.order_desk import HOLDER, OrderDesk, at_place, little_desk

AMOUNT = Decimal("0.5")

# A tick that sends an order takes about thirty steps, the sending itself is between the 19th and the 27th.
crash_points = st.none() | st.integers(0, 30) | st.integers(19, 27)


class CrashingVenue(LittleVenue):
    """A step before and after everything the gateway asks of the private side."""

    countdown = Countdown()

    def balances(self) -> dict[str, tuple[Decimal, Decimal]]:
        self.countdown.step()
        return super().balances()

    def place(
        self,
        *,
        client_order_id: str,
        symbol: str,
        side: Side,
        type: OrderType,
        amount: Decimal,
        price: Decimal | None,
        deadline: datetime,
        reduce_only: bool = False,
        leverage: Decimal | None = None,
    ) -> ExchangeOrder:
        self.countdown.step()
        placed = super().place(
            client_order_id=client_order_id,
            symbol=symbol,
            side=side,
            type=type,
            amount=amount,
            price=price,
            deadline=deadline,
            reduce_only=reduce_only,
            leverage=leverage,
        )
        self.countdown.step()
        return placed

    def find(
        self, client_order_id: str, symbol: str, *, since: datetime, exchange_order_id: str | None = None
    ) -> ExchangeOrder | None:
        self.countdown.step()
        found = super().find(client_order_id, symbol, since=since, exchange_order_id=exchange_order_id)
        self.countdown.step()
        return found

    def cancel(self, order: ExchangeOrder) -> ExchangeOrder:
        self.countdown.step()
        cancelled = super().cancel(order)
        self.countdown.step()
        return cancelled


class Walk(RuleBasedStateMachine):
    """The places of one Missionary one after the other, ticked by runs that crash and steal the lease."""

    def __init__(self, desk: OrderDesk, folder: Path) -> None:
        super().__init__()
        self.desk = desk
        self.venue = CrashingVenue(folder / f"{uuid4().hex}.sqlite", desk.clock)
        self.venue.countdown = self.countdown = Countdown()
        self.venue.quote("BTC/USD", "19990", "20000")
        self.venue.deposit({"USD": "100000"})
        desk.venue = self.venue
        desk.patience = Patience(venue_wait=timedelta(milliseconds=10))
        event.listen(desk.engine, "before_cursor_execute", self.countdown.step)
        event.listen(desk.engine, "after_cursor_execute", self.countdown.step)
        self.holder = HOLDER
        self.request = desk.open_missionary()

    @initialize(mode=st.sampled_from(get_args(Mode)))
    def who_asks(self, mode: Mode) -> None:
        """On paper nothing keeps another run from asking the venue in the middle of a sending."""
        self.request = replace(self.request, mode=mode)
        self.what_is_asked_for(limit=False, percent=False, liquidity="1")

    @rule(limit=st.booleans(), percent=st.booleans(), liquidity=st.sampled_from(["0", "0.3", "1"]))
    def what_is_asked_for(self, limit: bool, percent: bool, liquidity: str) -> None:
        """A user may edit all of it at any time."""
        self.venue.liquidity = Decimal(liquidity)
        self.request = replace(
            self.request,
            price=Decimal(15000) if limit else None,
            timeout_seconds=60,
            unit="percent" if percent else "base",
            amount=Decimal(10) if percent else AMOUNT,
        )

    @rule(crash_at=crash_points, fault=st.sampled_from((None, *get_args(Fault))))
    def tick(self, crash_at: int | None, fault: Fault | None) -> None:
        faults = [fault]
        with self._troubled(lambda call: faults.pop() if call == "place" and faults else None, crash_at):
            self._work(self.holder)

    @rule(crash_at=crash_points)
    def tick_while_the_venue_is_down(self, crash_at: int | None) -> None:
        with self._troubled(lambda call: "unreachable", crash_at), suppress(ExchangeUnreachable):
            self._work(self.holder)

    @rule(call=st.sampled_from(["place", "find", "cancel"]), crash_at=crash_points)
    def another_run_takes_over_in_the_middle(self, call: str, crash_at: int | None) -> None:
        left = [call]

        def seize(made: str) -> None:
            if left == [made]:
                left.clear()
                crash_later, self.countdown.left = self.countdown.left, None
                self.another_run_takes_the_lease()
                with suppress(ExchangeUnreachable):
                    self._work(self.holder)
                self.countdown.left = crash_later

        with self._troubled(seize, crash_at), suppress(LeaseLost):
            self._work(self.holder)

    @rule()
    def another_run_takes_the_lease(self) -> None:
        self.holder = uuid4().hex
        self.desk.lease(self.request.key.missionary_id, self.holder)

    @rule()
    def a_run_without_the_lease_ticks(self) -> None:
        before = len(self.venue.accepted())
        with suppress(LeaseLost):
            self._work("stranger")
        assert len(self.venue.accepted()) == before

    @rule(seconds=st.sampled_from([1, 10, 31, 60]))
    def time_passes(self, seconds: int) -> None:
        self.desk.clock.forward(seconds)

    @precondition(lambda self: self._open())
    @rule(lots=st.integers(1, 6000))
    def the_market_fills_some(self, lots: int) -> None:
        self.venue.fill(str(lots * BITCOIN.lot))

    @precondition(lambda self: self._open())
    @rule()
    def the_venue_cancels(self) -> None:
        self.venue.cancel(self._open()[-1])

    @invariant()
    def every_order_has_one_row_and_every_row_its_order(self) -> None:
        orders, rows = self.venue.accepted(), self._rows()
        at_venue = [order.client_order_id for order in orders]
        assert len(set(at_venue)) == len(at_venue)
        assert set(at_venue) <= {row.client_order_id for row in rows}
        assert {row.client_order_id for row in rows if row.status in ("open", "filled")} <= set(at_venue)

    @invariant()
    def one_order_lives_and_no_more_is_filled_than_was_fixed(self) -> None:
        assert len(self._open()) <= 1
        assert all(left >= 0 for left in self._left_by_place())

    def teardown(self) -> None:
        try:
            self.it_ends_filled()
        finally:
            event.remove(self.desk.engine, "before_cursor_execute", self.countdown.step)
            event.remove(self.desk.engine, "after_cursor_execute", self.countdown.step)

    def it_ends_filled(self) -> None:
        """Left alone, the place is filled exactly once."""
        self.another_run_takes_the_lease()
        self.desk.clock.forward(31)
        for _ in range(6):
            progress = self.desk.gateway(self.holder).work(self.request, self.desk.clock())
            if progress.done:
                break
            for _ in self._open():
                self.venue.fill("1000")
            self.desk.clock.forward(1)
        assert progress.done, progress
        assert self._open() == []
        assert all(row.status.is_final for row in self._rows())
        assert all(0 <= left < BITCOIN.min_amount for left in self._left_by_place())

    @contextmanager
    def _troubled(self, fault: Callable[[str], Fault | None], crash_at: int | None) -> Iterator[None]:
        self.venue.fault = fault
        self.countdown.left = crash_at
        try:
            # To SQLAlchemy a crash inside a statement is a broken connection.
            with suppress(Crash, DatabaseUnreachable):
                yield
        finally:
            self.countdown.left = None
            self.venue.fault = lambda call: None

    def _work(self, holder: str) -> None:
        """One tick; a place that is done is left for the next one."""
        if self.desk.gateway(holder).work(self.request, self.desk.clock()).done:
            index = self.request.key.task_index
            assert index is not None
            self.request = at_place(self.request, index + 1)

    def _left_by_place(self) -> list[Decimal]:
        """What the venue has not filled of the amount that each place's first filled order fixed."""
        place_of = {row.client_order_id: row.task_index for row in self._rows()}
        places: dict[int | None, list[ExchangeOrder]] = {}
        for order in self.venue.accepted():
            assert order.client_order_id is not None
            places.setdefault(place_of[order.client_order_id], []).append(order)
        return [
            next((order.amount for order in orders if order.filled > 0), Decimal(0))
            - sum(order.filled for order in orders)
            for orders in places.values()
        ]

    def _open(self) -> list[ExchangeOrder]:
        return [order for order in self.venue.accepted() if order.status == "open"]

    def _rows(self) -> list[Any]:
        return [row for row in self.desk.rows() if row.missionary_id == self.request.key.missionary_id]


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Iterator[OrderDesk]:
    with little_desk(database_url, tmp_path) as desk:
        yield desk


def test_any_sequence_of_crashes_faults_and_stolen_leases(desk: OrderDesk, tmp_path: Path) -> None:
    class Here(Walk):
        def __init__(self) -> None:
            super().__init__(desk, tmp_path)

    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=KILLS * 8,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
