"""A strategy's orders go through the one gateway: once each, within limits, settled before anything new."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from missiondesk.feeds.board import Place
from missiondesk.orders.killswitch import KillSwitch
from missiondesk.orders.strategy import StrategyGateway, Wanted
from missiondesk.store.strategy_runs import StrategyRuns
from missiondesk.strategies.trader import DeskTrader
from models.errors import InputRefused, LeaseLost
from models.market import OrderBook
from models.order import OrderStatus, StrategyKey, client_order_id
from tests.little_venue import PERPETUAL, SYMBOL, Fault, LittleVenue
from tests.order_desk import ACCOUNT, MovableClock, OrderDesk, little_desk
from tests.waiting import wait_for

BUY = Wanted(ACCOUNT, "little", SYMBOL, "buy", Decimal("0.5"))
RESTING = replace(BUY, price=Decimal(19000))


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Iterator[OrderDesk]:
    with little_desk(database_url, tmp_path) as made:
        yield made


def gateway(desk: OrderDesk, run_id: int | None = None) -> StrategyGateway:
    """Of a process that has just begun to work for the run."""
    run_id = run_id or StrategyRuns(desk.engine).open("diff", "live", [f"little:{SYMBOL}@{ACCOUNT}"])
    made = StrategyGateway(
        desk.engine,
        desk.trading,
        desk.market,
        run_id,
        "live",
        clock=desk.clock,
        patience=desk.patience,
        pause=desk.clock.forward,
    )
    made.settle()
    return made


def kill_switch(desk: OrderDesk) -> KillSwitch:
    return KillSwitch(desk.engine, desk.trading, desk.market, clock=desk.clock, patience=desk.patience)


def test_orders_are_numbered_and_belong_to_no_mission(desk: OrderDesk) -> None:
    run = gateway(desk)
    first, second = run.place(BUY), run.place(replace(BUY, symbol="ETH/USD"))
    third = gateway(desk).place(BUY)
    assert [order.sequence for order in (first, second, third)] == [1, 2, 3]
    assert first.strategy_run_id == second.strategy_run_id == third.strategy_run_id
    for order in desk.rows():
        assert (order.mission_id, order.missionary_id, order.task_id) == (None, None, None)
        assert (order.status, order.filled) == (OrderStatus.FILLED, Decimal("0.5"))
    assert [order.client_order_id for order in desk.venue.accepted()] == [
        order.client_order_id for order in desk.rows()
    ]


def test_the_id_is_made_of_installation_run_market_and_number(desk: OrderDesk) -> None:
    order = gateway(desk).place(BUY)
    assert order.strategy_run_id is not None
    with desk.engine.connect() as connection:
        installation = connection.exec_driver_sql("SELECT installation FROM desk").scalar_one()
    key = StrategyKey(order.strategy_run_id, 1, "little", SYMBOL)
    assert order.client_order_id == client_order_id(installation, key, 0)
    keys = [key, replace(key, sequence=2), replace(key, symbol="ETH/USD"), replace(key, run_id=99)]
    assert len({client_order_id(installation, other, 0) for other in keys}) == 4


def test_limits_and_the_kill_switch_hold_and_denials_in_a_row_share_one(desk: OrderDesk) -> None:
    desk.set_account(max_order_notional=Decimal(5000))
    run = gateway(desk)
    for _ in range(3):
        denied = run.place(BUY)
        assert (denied.status, denied.reason.split(":")[0]) == (OrderStatus.DENIED, "max_order_notional")
    assert len(desk.rows()) == 1
    kill_switch(desk).halt()
    small = replace(BUY, amount=Decimal("0.1"))
    assert "the desk is halted" in run.place(small).reason
    kill_switch(desk).resume()
    desk.set_account(armed=False)
    assert "not armed" in run.place(small).reason
    assert desk.venue.accepted() == []
    desk.set_account()
    assert run.place(small).status is OrderStatus.FILLED
    assert [order.sequence for order in desk.rows()] == [1, 1]


def test_what_was_decided_before_the_process_stood_still_is_not_sent(desk: OrderDesk) -> None:
    run = gateway(desk)

    def stand_still(_: Any, __: Any, statement: str, *___: Any) -> None:
        if statement.startswith("INSERT INTO trade_order"):
            desk.clock.forward(11)

    event.listen(desk.engine, "after_cursor_execute", stand_still)
    late = run.place(BUY)
    assert (late.status, late.reason) == (OrderStatus.CANCELLED, "not sent: its moment had passed")
    assert desk.venue.accepted() == []


def test_what_reduces_passes_where_nothing_else_does(desk: OrderDesk) -> None:
    run = gateway(desk)
    perpetual = replace(BUY, symbol=PERPETUAL.symbol, amount=Decimal(2), unit="contracts")
    desk.venue.quote(PERPETUAL.symbol, "19990", "20000")
    run.place(perpetual)
    desk.set_account(max_order_notional=Decimal(1), max_daily_loss=Decimal("0.01"))
    kill_switch(desk).halt(reduce_only=True)
    assert run.place(perpetual).status is OrderStatus.DENIED
    closing = replace(perpetual, side="sell", amount=Decimal(5), reduce_only=True)
    closed = run.place(closing)
    assert (closed.status, closed.amount) == (OrderStatus.FILLED, Decimal(2))
    assert "no open position" in run.place(closing).reason


def test_another_run_may_not_reduce_what_this_one_holds(desk: OrderDesk) -> None:
    gateway(desk).place(BUY)
    other = gateway(desk, StrategyRuns(desk.engine).open("hedge", "live", ["elsewhere"]))
    denied = other.place(replace(BUY, side="sell", reduce_only=True))
    assert "no open position" in denied.reason


@pytest.mark.parametrize(("fault", "taken"), [("lose answer", 1), ("lose request", 0)])
def test_a_lost_answer_is_looked_up_before_anything_new(desk: OrderDesk, fault: Fault, taken: int) -> None:
    desk.venue.fault = lambda call: fault if call == "place" else None
    lost = gateway(desk).place(BUY)
    assert lost.status is OrderStatus.UNKNOWN
    desk.venue.fault = lambda call: None
    again = gateway(desk)
    (settled,) = desk.rows()
    assert settled.status is (OrderStatus.FILLED if taken else OrderStatus.CANCELLED)
    again.place(BUY)
    assert len(desk.venue.accepted()) == taken + 1


def test_a_killed_run_leaves_nothing_resting_and_nothing_twice(desk: OrderDesk) -> None:
    run = gateway(desk)
    run.place(RESTING)
    desk.venue.fill("0.2")

    def killed(call: str) -> None:
        raise KeyboardInterrupt

    desk.venue.fault = killed
    with pytest.raises(KeyboardInterrupt):
        run.place(BUY)
    assert [order.status for order in desk.rows()] == [OrderStatus.OPEN, OrderStatus.SENT]
    desk.venue.fault = lambda call: None
    gateway(desk)
    assert [(order.status, order.filled) for order in desk.rows()] == [
        (OrderStatus.CANCELLED, Decimal("0.2")),
        (OrderStatus.CANCELLED, Decimal(0)),
    ]
    assert [order.status for order in desk.venue.accepted()] == ["cancelled"]


class SlowVenue(LittleVenue):
    """Its books take ten seconds."""

    def order_book(self, symbol: str, depth: int = 50) -> OrderBook:
        assert isinstance(self.clock, MovableClock)
        self.clock.forward(10)
        return OrderBook(self.name, symbol, (), (), self.clock())


@pytest.mark.parametrize(("slow", "seconds"), [("place", 10), ("cancel", 20), ("depth", 10)])
def test_a_slow_call_marks_its_market_bad_for_half_an_hour(
    desk: OrderDesk, tmp_path: Path, slow: str, seconds: float
) -> None:
    place, venue = Place("little", SYMBOL), SlowVenue(tmp_path / "slow.sqlite", desk.clock)
    trader = DeskTrader(gateway(desk), lambda exchange: venue, desk.clock)
    resting = trader.place(RESTING)

    def fault(call: str) -> None:
        if call == slow:
            desk.clock.forward(seconds)

    desk.venue.fault = fault
    match slow:
        case "place":
            trader.place(BUY)
        case "cancel":
            assert trader.cancel(resting, "enough").status is OrderStatus.CANCELLED
        case _:
            trader.order_book(place)
    assert "is left alone until" in (trader.problem(place) or "")
    assert trader.problem(Place("little", "ETH/USD")) is None
    desk.clock.forward(30 * 60)
    assert trader.problem(place) is None


def waiting_for_locks(desk: OrderDesk) -> int:
    waiting = text(
        "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database"
        " WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted"
    )
    with desk.engine.connect() as connection:
        return int(connection.execute(waiting).scalar_one())


def test_one_process_works_for_a_run(desk: OrderDesk) -> None:
    runs = StrategyRuns(desk.engine)
    run_id = runs.open("diff", "live", ["a", "b"])
    assert runs.open("diff", "live", ["a", "b"]) == run_id
    with runs.alone(run_id):
        with pytest.raises(InputRefused, match="another process runs this strategy"), runs.alone(run_id):
            pass
        with runs.alone(runs.open("diff", "paper", ["a", "b"])):
            pass
    with runs.alone(run_id):
        pass


def test_a_process_that_is_about_to_end_is_waited_for(desk: OrderDesk) -> None:
    runs = StrategyRuns(desk.engine)
    run_id = runs.open("diff", "live", ["a", "b"])

    def enter() -> None:
        with runs.alone(run_id):
            pass

    with ThreadPoolExecutor(1) as other:
        with runs.alone(run_id):
            entered = other.submit(enter)
            wait_for(lambda: waiting_for_locks(desk) == 1)
        entered.result(10)


def test_of_two_that_take_themselves_for_the_run_one_goes_on(desk: OrderDesk) -> None:
    first, second = gateway(desk), gateway(desk)
    first.place(BUY)
    with pytest.raises(LeaseLost):
        second.place(replace(BUY, symbol="ETH/USD"))
    assert len(desk.venue.accepted()) == 1
