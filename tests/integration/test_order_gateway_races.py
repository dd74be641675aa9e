"""Two ticks on one Missionary, two processes on one key."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from missiondesk.orders.killswitch import KillSwitch
from missiondesk.orders.patience import Patience
from missiondesk.orders.venues import Venues
from missiondesk.store.orders import TradeOrders
from models import tables
from models.account import Account, Mode
from models.errors import ExchangeUnreachable, LeaseLost
from models.order import OrderStatus, TradeRequest
from tests.little_venue import Fault
from tests.order_desk import OrderDesk, at_place, little_desk


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Iterator[OrderDesk]:
    with little_desk(database_url, tmp_path) as desk:
        yield desk


def seize(desk: OrderDesk, request: TradeRequest, call: str) -> None:
    """At the venue's next such call another run takes the Missionary over."""
    left = [True]

    def fault(made: str) -> None:
        if made == call and left:
            left.clear()
            desk.lease(request.key.missionary_id, "another-run")

    desk.venue.fault = fault


def test_a_tick_that_lost_its_lease_before_the_intent_writes_nothing(desk: OrderDesk) -> None:
    request = replace(desk.open_missionary(), unit="percent")
    seize(desk, request, "balances")
    with pytest.raises(LeaseLost):
        desk.gateway().work(request, desk.clock())
    assert desk.rows() == []


def test_a_tick_that_lost_its_lease_after_the_intent_sends_nothing(desk: OrderDesk) -> None:
    request = desk.open_missionary()
    orders = TradeOrders(desk.engine)
    desk.venue.fault = lambda call: pytest.fail(f"{call} was called")
    with desk.engine.connect() as connection:
        connection.execute(
            text(
                "CREATE FUNCTION seize() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                " UPDATE missionary SET holder = 'another-run'; RETURN NEW; END $$"
            )
        )
        connection.execute(
            text("CREATE TRIGGER seize AFTER INSERT ON trade_order FOR EACH ROW EXECUTE FUNCTION seize()")
        )
    with pytest.raises(LeaseLost):
        desk.gateway().work(request, desk.clock())
    [row] = orders.attempts(request.key)
    assert (row.status, row.reason) == (OrderStatus.CANCELLED, "not sent: its tick lost the lease")


def test_the_next_tick_discards_a_leftover_intent_and_decides_anew(desk: OrderDesk) -> None:
    request = desk.open_missionary()
    desk.gateway().work(request, desk.clock())
    leftover = {
        "status": "intent",
        "sent_at": None,
        "filled": 0,
        "cost": 0,
        "fee": 0,
        "exchange_order_id": None,
    }
    with desk.engine.connect() as connection:
        connection.execute(tables.trade_order.update().values(**leftover))
    assert desk.gateway().started(request.key) is None
    progress = desk.gateway().work(replace(request, amount=Decimal("0.1")), desk.clock())
    assert (progress.done, progress.filled) == (True, Decimal("0.1"))
    old, new = desk.rows()
    assert (old.status, old.reason) == (OrderStatus.CANCELLED, "not sent: its tick had ended")
    assert (new.attempt, new.amount) == (1, Decimal("0.1"))


@pytest.mark.parametrize(
    ("mode", "rule", "status"), [("live", "UNKNOWN", "sent"), ("paper", "UNKNOWN", "unknown")]
)
def test_a_tick_that_took_over_mid_flight_waits_for_the_order(
    desk: OrderDesk, mode: Mode, rule: str, status: str
) -> None:
    """On a live account it does not even get to ask: the sender has the key."""
    desk.patience = Patience(venue_wait=timedelta(seconds=0.1))
    request = replace(desk.open_missionary(), mode=mode)
    seen: list[tuple[str, str]] = []

    def take_over(call: str) -> None:
        if call == "place":
            desk.venue.fault = lambda made: None
            desk.lease(request.key.missionary_id, "another-run")
            progress = desk.gateway("another-run").work(request, desk.clock())
            seen.append((progress.rule, desk.rows()[0].status))

    desk.venue.fault = take_over
    progress = desk.gateway().work(request, desk.clock())
    assert seen == [(rule, status)]
    assert progress.done
    assert desk.gateway("another-run").work(request, desk.clock()).done
    assert len(desk.venue.accepted()) == 1


def test_a_process_that_stood_still_after_its_intent_sends_nothing(desk: OrderDesk) -> None:
    request = desk.open_missionary()

    def stand_still(_: Any, __: Any, statement: str, *___: Any) -> None:
        if statement.startswith("INSERT INTO trade_order"):
            desk.clock.forward(11)

    event.listen(desk.engine, "after_cursor_execute", stand_still)
    progress = desk.gateway().work(request, desk.clock())
    assert (progress.rule, desk.rows()[0].reason) == ("CANCELLED", "not sent: its moment had passed")
    assert desk.venue.accepted() == []


def test_disarming_keeps_an_intent_of_the_live_account_from_being_sent(desk: OrderDesk) -> None:
    request = desk.open_missionary()
    with desk.engine.connect() as connection:
        connection.execute(
            text(
                "CREATE FUNCTION disarm() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                " UPDATE account SET armed = false; RETURN NEW; END $$"
            )
        )
        connection.execute(
            text("CREATE TRIGGER disarm AFTER INSERT ON trade_order FOR EACH ROW EXECUTE FUNCTION disarm()")
        )
    progress = desk.gateway().work(request, desk.clock())
    assert (progress.rule, desk.rows()[0].status) == ("CANCELLED", OrderStatus.CANCELLED)
    assert desk.rows()[0].reason.startswith("not sent: account trader is not armed for live orders")
    assert desk.venue.accepted() == []
    desk.set_account()
    assert desk.gateway().work(replace(at_place(request, 1), mode="paper"), desk.clock()).done


def test_an_order_whose_moment_passed_is_not_sent(desk: OrderDesk) -> None:
    desk.patience = Patience(send_window=timedelta(0))
    request = desk.open_missionary()
    progress = desk.gateway().work(request, desk.clock())
    assert (progress.done, progress.rule) == (False, "CANCELLED")
    assert desk.venue.accepted() == []


def test_an_order_that_arrives_after_it_was_given_up_is_recalled(desk: OrderDesk) -> None:
    """Only a venue without deadlines can do that; what it filled meanwhile is not forgotten."""
    request = desk.open_missionary()
    desk.venue.liquidity = Decimal("0.2")

    def give_up(call: str) -> None:
        if call == "place":
            desk.venue.fault = lambda made: None
            with desk.engine.connect() as connection:
                connection.execute(tables.trade_order.update().values(status="cancelled"))

    desk.venue.fault = give_up
    progress = desk.gateway().work(request, desk.clock())
    assert (progress.done, progress.rule, progress.filled) == (False, "CANCELLED", Decimal("0.1"))
    assert [order.status for order in desk.venue.accepted()] == ["cancelled"]


@pytest.mark.parametrize(
    ("halt", "left"),
    [({}, "cancelled"), ({"reduce_only": True}, "cancelled"), ({"keep_open": True}, "open")],
)
def test_a_paper_order_on_its_way_does_not_outlast_a_halt(
    desk: OrderDesk, halt: dict[str, bool], left: str
) -> None:
    request = replace(desk.open_missionary(), mode="paper", price=Decimal(15000))

    def halt_before(call: str) -> None:
        desk.venue.fault = lambda made: None
        KillSwitch(desk.engine, desk.trading, desk.market, clock=desk.clock).halt(**halt)

    desk.venue.fault = halt_before
    desk.gateway().work(request, desk.clock())
    assert [order.status for order in desk.venue.accepted()] == [left]
    assert [str(row.status) for row in desk.rows()] == [left]


def test_a_halt_cancels_what_arrives_while_it_looks(desk: OrderDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    request = replace(desk.open_missionary(), mode="paper", price=Decimal(15000))
    faults: list[Fault] = ["slow to show"]
    desk.venue.fault = lambda call: faults.pop() if faults else None
    desk.gateway().work(request, desk.clock())
    with desk.engine.connect() as connection:
        connection.execute(tables.trade_order.update().values(status="sent"))
    find = desk.venue.find

    def arrives_just_after(*place: str, since: datetime, exchange_order_id: str | None) -> None:
        monkeypatch.undo()
        assert find(*place, since=since, exchange_order_id=exchange_order_id) is None
        desk.clock.forward(6)
        desk.gateway("upkeep").follow_all()

    monkeypatch.setattr(desk.venue, "find", arrives_just_after)
    halted = KillSwitch(desk.engine, desk.trading, desk.market, clock=desk.clock).halt()
    assert [order.status for order in halted.ended] == [OrderStatus.CANCELLED]
    assert [order.status for order in desk.venue.accepted()] == ["cancelled"]


def test_many_ticks_at_once_send_one_order(desk: OrderDesk) -> None:
    """Threads stand for processes here: each has connections of its own."""
    request = desk.open_missionary()
    start = threading.Barrier(6)

    def tick(_: int) -> bool:
        start.wait()
        try:
            return desk.gateway().work(request, desk.clock()).done
        except LeaseLost:
            return False

    with ThreadPoolExecutor(6) as ticks:
        list(ticks.map(tick, range(6)))
    assert desk.gateway().work(request, desk.clock()).done
    assert sum(order.filled for order in desk.venue.accepted()) == Decimal("0.5")
    assert len(desk.venue.accepted()) == 1


def test_limits_hold_against_orders_at_the_same_moment(desk: OrderDesk) -> None:
    desk.set_account(max_orders_per_minute=2, max_open_exposure=Decimal(25000), slippage=Decimal(0))
    request = desk.open_missionary()
    start = threading.Barrier(5)

    def tick(index: int) -> str:
        start.wait()
        return desk.gateway().work(at_place(request, index), desk.clock()).rule

    with ThreadPoolExecutor(5) as ticks:
        rules = sorted(ticks.map(tick, range(5)))
    assert rules == ["DENIED"] * 3 + ["FILLED"] * 2
    assert len(desk.venue.accepted()) == 2


HOLD_A_TURN = """
import sys
from datetime import timedelta
from missiondesk.orders.patience import Patience
from missiondesk.orders.venues import Venues
from missiondesk.store.database import connect
from models.account import Account

patience = Patience(turn=timedelta(seconds=float(sys.argv[3])))
venues = Venues(connect(sys.argv[1]), lambda account, mode: None, patience)
with venues.turn(Account(name="trader", credentials=sys.argv[2]), "live"):
    print("mine", flush=True)
    sys.stdin.read()
"""


def turn_is_free(desk: OrderDesk, account: Account, mode: Mode = "live", wait: float = 0.2) -> bool:
    venues = Venues(desk.engine, desk.trading, Patience(venue_wait=timedelta(seconds=wait)))
    try:
        with venues.turn(account, mode):
            return True
    except ExchangeUnreachable as error:
        assert "using its key" in str(error)
        return False


def test_one_process_at_a_time_uses_a_key_and_its_death_frees_it(desk: OrderDesk, database_url: str) -> None:
    def free(account: str, credentials: str, mode: Mode = "live", wait: float = 0.2) -> bool:
        return turn_is_free(desk, Account(name=account, credentials=credentials), mode, wait)

    with subprocess.Popen(
        [sys.executable, "-c", HOLD_A_TURN, database_url, "shared", "60"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "mine\n"
        assert not free("trader", "shared")
        assert not free("other", "shared")
        assert free("trader", "another")
        assert free("trader", "shared", mode="paper")
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        assert free("other", "shared", wait=20)


def test_a_turn_that_lasts_too_long_is_lost(desk: OrderDesk, database_url: str) -> None:
    """Its process may be frozen: nobody else could trade, or halt the desk, for as long."""
    account = Account(name="trader", credentials="shared")
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_A_TURN, database_url, "shared", "0.5"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "mine\n"
        assert turn_is_free(desk, account, wait=20)
        _, said = holder.communicate()
        assert "DatabaseUnreachable" in said
