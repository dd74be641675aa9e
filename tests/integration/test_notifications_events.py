"""What the database tells people of by itself, once, whoever writes the rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from missiondesk.components.purge import purge_executions
from missiondesk.store.notifications import Notifications
from models.errors import CredentialsRefused, OrderRejected
from models.notification import NotificationKind
from models.order import OrderStatus
from tests.order_desk import OrderDesk, little_desk


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Iterator[OrderDesk]:
    with little_desk(database_url, tmp_path) as desk:
        yield desk


def sql(desk: OrderDesk, statement: str, **given: Any) -> list[Any]:
    with desk.engine.connect() as connection:
        found = connection.execute(text(statement), given)
        return list(found) if found.returns_rows else []


def told(desk: OrderDesk) -> list[tuple[str, str]]:
    return [tuple(row) for row in sql(desk, "SELECT kind, account FROM notification ORDER BY id")]


def work(desk: OrderDesk, request: Any) -> None:
    desk.clock.forward(30)
    with suppress(OrderRejected, CredentialsRefused):
        desk.gateway().work(request, desk.clock())


def result(desk: OrderDesk, request: Any, rule: str, msg: str, *, passed: bool) -> None:
    sql(
        desk,
        """INSERT INTO result_log (mission_id, missionary_id, task_name, role, task_index, passed, rule, msg)
           VALUES (:mission, :missionary, 'buy', 'task', 0, :passed, :rule, :msg)""",
        mission=request.mission_id,
        missionary=request.key.missionary_id,
        passed=passed,
        rule=rule,
        msg=msg,
    )


def test_a_filled_order_is_told_with_its_terms(desk: OrderDesk) -> None:
    request = desk.open_missionary()
    for _ in range(3):
        work(desk, request)
    [(subject, body)] = sql(desk, "SELECT subject, body FROM notification")
    assert re.fullmatch(r"mission \w+: order filled: buy 0.5 BTC/USD", subject)
    [order] = desk.rows()
    assert body.splitlines() == [
        "account trader at little, live",
        f"filled 0.5 of 0.5 at {order.average}",
        f"client order id {order.client_order_id}",
    ]


def test_denied_and_rejected_orders_are_told_once(desk: OrderDesk) -> None:
    request = desk.open_missionary()
    desk.set_account(armed=False)
    for _ in range(3):
        work(desk, request)
    assert told(desk) == [("order denied", "trader")]
    desk.set_account(armed=True)
    desk.venue.fault = lambda call: "reject" if call == "place" else None
    for _ in range(3):
        work(desk, request)
    assert [order.status for order in desk.rows()][1:] == [OrderStatus.REJECTED] * 3
    assert told(desk)[1:] == [("order rejected", "trader")]


@pytest.mark.parametrize("walk", ["progress", "whole"])
def test_a_mission_that_is_denied_at_every_tick_is_told_once(desk: OrderDesk, walk: str) -> None:
    request = desk.open_missionary()
    sql(desk, "UPDATE mission SET walk = :walk", walk=walk)
    for number in range(3):
        sql(
            desk,
            """INSERT INTO trade_order (client_order_id, mission_id, missionary_id, role, task_index, account,
                   exchange, symbol, side, type, amount, mode, status)
               VALUES (:number, :mission, :missionary, 'task', 0, 'trader', 'little', 'BTC/USD', 'buy',
                   'market', 1, 'live', 'denied')""",
            number=f"order {number}",
            mission=request.mission_id,
            missionary=request.key.missionary_id + (number if walk == "whole" else 0),
        )
    assert told(desk) == [("order denied", "trader")]


def test_a_cancelled_order_is_told_if_part_of_it_filled(desk: OrderDesk) -> None:
    for filled, expected in ((0, []), (0.25, [("order cancelled", "trader")])):
        request = desk.open_missionary()
        work(desk, request)
        sql(desk, "DELETE FROM notification")
        sql(
            desk,
            "UPDATE trade_order SET status = 'open', filled = :filled WHERE mission_id = :mission",
            filled=filled,
            mission=request.mission_id,
        )
        sql(desk, "UPDATE trade_order SET status = 'cancelled' WHERE status = 'open'")
        assert told(desk) == expected


def test_an_order_of_no_mission_is_told(desk: OrderDesk) -> None:
    work(desk, desk.open_missionary())
    sql(desk, "DELETE FROM notification")
    sql(desk, "UPDATE trade_order SET mission_id = NULL, missionary_id = NULL")
    for run, teller in ((None, "desk"), (7, "strategy run 7")):
        sql(desk, "UPDATE trade_order SET status = 'open', strategy_run_id = :run", run=run)
        sql(desk, "UPDATE trade_order SET status = 'filled'")
        assert sql(desk, "SELECT subject FROM notification") == [
            (f"{teller}: order filled: buy 0.5 BTC/USD",)
        ]
        sql(desk, "DELETE FROM notification")


def test_a_task_that_breaks_at_every_tick_is_told_once_for_each_reason(desk: OrderDesk) -> None:
    request = desk.open_missionary()
    for reason in ("the wire is cut", "the wire is cut", "the wire is hot", "the wire is cut"):
        result(desk, request, "ERROR", reason, passed=False)
    result(desk, request, "RSI", "rsi=41", passed=False)
    result(desk, request, "RSI", "rsi=29", passed=True)
    assert [kind for kind, _ in told(desk)] == ["task broke", "task broke", "task passed"]


def test_of_whole_walks_passing_is_no_news_and_breaking_is_once_an_hour(desk: OrderDesk) -> None:
    request = desk.open_missionary()
    sql(desk, "UPDATE mission SET walk = 'whole'")
    for _ in range(2):
        result(desk, request, "RSI", "rsi=29", passed=True)
        result(desk, request, "ERROR", "the wire is cut", passed=False)
    sql(desk, "UPDATE missionary SET ended_at = now(), result = 'passed'")
    assert told(desk) == [("task broke", "trader")]


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        ("passed", [("missionary finished", "trader")]),
        ("expired", [("missionary expired", "trader")]),
        ("restarted", []),
        ("skipped", []),
    ],
)
def test_how_a_missionary_ended(desk: OrderDesk, outcome: str, expected: list[tuple[str, str]]) -> None:
    desk.open_missionary()
    for _ in range(2):
        sql(desk, "UPDATE missionary SET ended_at = now(), result = :outcome", outcome=outcome)
    assert told(desk) == expected


def test_a_rollback_takes_the_news_back(desk: OrderDesk) -> None:
    desk.open_missionary()
    with desk.engine.execution_options(isolation_level="READ COMMITTED").connect() as connection:
        connection.execute(text("UPDATE missionary SET ended_at = now(), result = 'passed'"))
        assert connection.scalar(text("SELECT count(*) FROM notification")) == 1
        connection.rollback()
    assert told(desk) == []


def test_a_tick_that_fails_at_its_rows_is_told_once_an_hour(desk: OrderDesk) -> None:
    request = desk.open_missionary()
    name = sql(desk, "SELECT name FROM mission WHERE id = :id", id=request.mission_id)[0][0]
    sql(desk, "UPDATE mission SET account = 'trader'")
    for mission in (name, name, "unknown"):
        Notifications(desk.engine).tick_failed(mission, "mission 'x' is not valid: timezone: expected …")
    assert told(desk) == [("tick failed", "trader"), ("tick failed", None)]


def test_old_news_are_forgotten(desk: OrderDesk) -> None:
    work(desk, desk.open_missionary())
    Notifications(desk.engine).route(["log"])
    purge_executions(desk.engine, timedelta(days=1))
    assert len(told(desk)) == 1
    purge_executions(desk.engine, timedelta(0))
    assert told(desk) == sql(desk, "SELECT 1 FROM delivery") == []


def test_every_kind_is_one_that_the_table_takes(desk: OrderDesk) -> None:
    for kind in NotificationKind:
        with desk.engine.connect() as connection:
            connection.execute(
                text("SELECT tell(:kind, CAST(:kind AS text), NULL, 'subject', 'body')"), {"kind": kind.value}
            )
    assert len(told(desk)) == len(NotificationKind)


def test_the_documentation_names_every_kind() -> None:
    page = (Path(__file__).parents[2] / "docs" / "notifications.md").read_text()
    assert [kind.value for kind in NotificationKind if f"`{kind.value}`" not in page] == []
