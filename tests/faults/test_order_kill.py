"""Trade Tasks through everything that can go wrong at once: each order exactly once, each fill recorded.

`make chaos N=1000 SEED=2` carries out a thousand trade Tasks; the seed fixes the plan of what goes wrong.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from missiondesk.exchanges.sandbox.process import SandboxProcess
from missiondesk.store.embedded import EmbeddedPostgres
from missiondesk.store.migrate import upgrade
from tests.faults.chaos import SEED, TRADES
from tests.faults.order_books import check_orders, order_rows, orders_at
from tests.faults.trade_missions import arm_account, save_mission
from tests.faults.trade_worker import TradeDesk
from tests.faults.turmoil import Planned, Turmoil, plan, shown
from tests.ports import free_port
from tests.waiting import wait_for

QUEUE: list[tuple[str, dict[str, Any]]] = [
    ("market_buy", {"amount": "0.01"}),
    ("limit_buy", {"amount": "0.9", "price": "50250", "timeout_seconds": 0.5}),
    ("limit_sell", {"amount": "0.2", "price": "50250", "timeout_seconds": 0.5}),
    ("close_long", {}),
]
"""The trade Tasks of a Mission; the last is its Target. More than the market takes at once, partly."""

MISSIONS = -(-TRADES // len(QUEUE))
FIRST_BALANCES = {"USD": Decimal(10**9), "BTC": Decimal(1000)}

pytestmark = pytest.mark.timeout(7200)


@pytest.fixture
def turmoil(short_home: Path) -> Iterator[Turmoil]:
    database = EmbeddedPostgres(short_home, {"fsync": "off"})
    exchange = SandboxProcess(state=short_home / "exchange.sqlite", port=free_port(), balances=FIRST_BALANCES)
    turmoil = Turmoil(short_home, database, exchange, SEED)
    database.start()
    try:
        database.create_database("desk")
        upgrade(database.url("desk"))
        turmoil.start_exchange()
        yield turmoil
    finally:
        turmoil.end()
        exchange.kill()
        database.stop()


@pytest.fixture
def desk(turmoil: Turmoil, short_home: Path) -> Iterator[TradeDesk]:
    desk = TradeDesk(short_home, turmoil.database.url("desk"), turmoil.exchange.url)
    arm_account(desk, "trader")
    for number in range(MISSIONS):
        save_mission(desk, f"trader {number}", "trader", QUEUE)
    yield desk
    desk.engine.dispose()


def test_each_order_happens_exactly_once_and_every_fill_is_recorded(
    turmoil: Turmoil, desk: TradeDesk
) -> None:
    struck: list[Planned] = []
    try:
        strike_until_all_have_finished(turmoil, desk, struck)
        turmoil.end_faults()
        assert turmoil.failed == []
        wait_for(lambda: desk.gateway("upkeep").follow_all() == 0, "all orders to be settled")
        rows = order_rows(desk)
        check_orders(rows, orders_at(turmoil.exchange.url))
        check_amounts(rows)
        check_balances(rows, turmoil.ask("balances"))
        check_missions(desk)
    except BaseException as error:
        error.add_note(f"make chaos N={TRADES} SEED={SEED}; so far:\n{shown(struck)}\n{unfinished(desk)}")
        raise


def strike_until_all_have_finished(turmoil: Turmoil, desk: TradeDesk, struck: list[Planned]) -> None:
    give_up_at = time.monotonic() + 120 + 3 * TRADES
    for planned in plan(SEED):
        turmoil.keep_working()
        desk.engine.dispose()  # its connections ended with the database
        unfinished = desk.missions.available_ids()
        if not unfinished:
            return
        assert time.monotonic() < give_up_at, f"still trading: {unfinished}"
        time.sleep(planned.after_seconds)  # the instant is what is drawn
        struck.append(planned)
        turmoil.strike(planned)


def unfinished(desk: TradeDesk) -> str:
    """Where the Missions that still run stand, and their orders."""
    desk.engine.dispose()
    with desk.engine.connect() as connection:
        missionaries = connection.execute(text("SELECT * FROM missionary WHERE ended_at IS NULL")).all()
        orders = text("SELECT * FROM trade_order WHERE missionary_id = ANY(:ids) ORDER BY id")
        found = connection.execute(orders, {"ids": [each.id for each in missionaries]})
        return "\n".join(map(str, [*missionaries, *found]))


def check_amounts(rows: list[dict[str, Any]]) -> None:
    """Each place filled what its Task asked for, the Targets what the Tasks before them had left over."""
    filled: defaultdict[tuple[int, str, int | None], Decimal] = defaultdict(Decimal)
    for row in rows:
        filled[row["missionary_id"], row["role"], row["task_index"]] += row["filled"]
    assert len(filled) == MISSIONS * len(QUEUE)
    amounts = [Decimal(params.get("amount", "0.71")) for _, params in QUEUE]
    for (_, role, index), amount in filled.items():
        wanted = amounts[-1] if role == "target" else amounts[index or 0]
        assert amount == wanted, (role, index, amount)


def check_balances(rows: list[dict[str, Any]], balances: dict[str, str]) -> None:
    """What the exchange's account owns now is what our rows say it must."""
    bought = {row["id"]: 1 if row["side"] == "buy" else -1 for row in rows}
    coins = sum(bought[row["id"]] * row["filled"] for row in rows)
    spent = sum(bought[row["id"]] * row["cost"] + row["fee"] for row in rows)
    assert Decimal(balances["BTC"]) == FIRST_BALANCES["BTC"] + coins
    assert Decimal(balances["USD"]) == FIRST_BALANCES["USD"] - spent


def check_missions(desk: TradeDesk) -> None:
    with desk.engine.connect() as connection:

        def count(query: str) -> int:
            return int(connection.execute(text(f"SELECT count(*) FROM {query}")).scalar_one())  # noqa: S608

        assert count("missionary WHERE result = 'passed'") == MISSIONS == count("missionary")
        assert count("missionary WHERE holder IS NOT NULL OR lease_expires_at IS NOT NULL") == 0
        assert count("result_log WHERE passed") == MISSIONS * len(QUEUE)
        passed = "(SELECT DISTINCT missionary_id, role, task_index FROM result_log WHERE passed) AS passed"
        assert count(passed) == MISSIONS * len(QUEUE)
