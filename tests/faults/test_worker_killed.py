"""kill -9 of a desk's worker, at drawn instants of Prefect runs that trade live on the sandbox."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from missiondesk.exchanges.sandbox.address import SANDBOX_KEY, SANDBOX_SECRET
from missiondesk.store.administration import session
from tests.acceptance.running_desk import RunningDesk
from tests.faults.chaos import KILLS, SEED
from tests.ports import free_port
from tests.waiting import wait_for

pytestmark = [pytest.mark.desk, pytest.mark.timeout(7200)]

MISSIONS = 4
AMOUNT = Decimal("0.01")


class Trading:
    """A desk on which every Mission buys and sells again and again, with a tick asked for all the time."""

    def __init__(self, desk: RunningDesk) -> None:
        self.desk = desk
        self._database, self._api = desk.database_url, desk.prefect_api_url
        self._exchange = desk.status()["exchange_url"]
        self._enough = threading.Event()
        self._asking = threading.Thread(target=self._ask_for_ticks, daemon=True)

    def rows(self, statement: str, *given: Any) -> list[tuple[Any, ...]]:
        with session(self._database) as cursor:
            cursor.execute(statement, given)
            return list(cursor.fetchall()) if cursor.description else []

    def set_up(self) -> None:
        self.rows("UPDATE mission SET enabled = false")
        self.rows(
            "INSERT INTO account (name, exchange, credentials, max_order_notional, max_daily_loss)"
            " VALUES ('live', 'sandbox', 'environment', 1000000, 1000000)"
        )
        armed = self.desk.command("arm", "live", "--yes")
        assert armed.returncode == 0, armed.stderr
        trade = {"symbol": "BTC/USD", "amount": str(AMOUNT), "timeout_seconds": 60}
        for number in range(MISSIONS):
            ids = [
                self.rows(
                    "INSERT INTO task (name, template, params) VALUES (%s, %s, %s) RETURNING id",
                    f"{step} {number}",
                    template,
                    json.dumps(params),
                )[0][0]
                for step, template, params in (
                    ("look", "condition_is", {"condition": "always_true"}),
                    ("buy", "market_buy", trade),
                    ("look again", "condition_is", {"condition": "always_true"}),
                    ("sell", "market_sell", trade),
                )
            ]
            self.rows(
                "INSERT INTO mission (name, task_ids, target_id, repeat, account, mode)"
                " VALUES (%s, %s, %s, true, 'live', 'live')",
                f"trader {number}",
                ids[:3],
                ids[3],
            )
        wait_for(lambda: len(self._deployments()) == MISSIONS, "the Missions to be deployed")

    def _deployments(self) -> list[str]:
        wanted = {"deployments": {"tags": {"all_": ["mode:live"]}}}
        return [each["id"] for each in self._prefect("/deployments/filter", wanted)]

    def _prefect(self, path: str, body: dict[str, Any]) -> Any:
        request = Request(
            f"{self._api}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def start_asking(self) -> None:
        self._asking.start()

    def stop_asking(self) -> None:
        self._enough.set()
        self._asking.join(timeout=60)

    def _ask_for_ticks(self) -> None:
        ids = self._deployments()
        while not self._enough.wait(0.5):
            try:
                waiting = self._prefect(
                    "/flow_runs/count",
                    {
                        "flow_runs": {
                            "state": {"type": {"any_": ["SCHEDULED", "PENDING"]}},
                            "tags": {"any_": ["chaos"]},
                        }
                    },
                )
                if waiting < 2 * MISSIONS:
                    for each in ids:
                        self._prefect(f"/deployments/{each}/create_flow_run", {"tags": ["chaos"]})
            except (OSError, HTTPException):
                continue  # what is asked for is more than the server takes at times

    def finished(self) -> dict[str, int]:
        """How many walks of each Mission have passed their Target."""
        counted = self.rows(
            "SELECT name, count(missionary.id) FROM mission LEFT JOIN missionary"
            " ON mission_id = mission.id AND result = 'passed' WHERE mission.mode = 'live' GROUP BY name"
        )
        return dict(counted)

    def _is_over(self, run_id: str) -> bool:
        ended = {"id": {"any_": [run_id]}, "state": {"type": {"any_": ["COMPLETED", "FAILED", "CRASHED"]}}}
        return bool(self._prefect("/flow_runs/count", {"flow_runs": ended}))

    def orders_at_the_exchange(self) -> list[dict[str, Any]]:
        with urlopen(f"{self._exchange}/sandbox/orders", timeout=20) as answer:
            found: list[dict[str, Any]] = json.load(answer)
            return found

    def unsettled(self) -> int:
        """Orders not yet final; the desk's upkeep follows those of Missions that no longer tick."""
        [upkeep] = self._prefect("/deployments/filter", {"flows": {"name": {"any_": ["upkeep"]}}})
        ran = self._prefect(f"/deployments/{upkeep['id']}/create_flow_run", {})
        wait_for(lambda: self._is_over(ran["id"]), "the upkeep run to end")
        counted = self.rows(
            "SELECT count(*) FROM trade_order WHERE status IN ('intent', 'sent', 'open', 'unknown')"
        )
        return int(counted[0][0])


@pytest.fixture
def trading() -> Iterator[Trading]:
    folder = Path(tempfile.mkdtemp(prefix="desk-"))
    keys = {"MISSIONDESK_LIVE_API_KEY": SANDBOX_KEY, "MISSIONDESK_LIVE_API_SECRET": SANDBOX_SECRET}
    desk = RunningDesk(folder / "home", free_port(), keys)
    try:
        desk.start()
        desk.wait_until_up()
        yield Trading(desk)
    finally:
        desk.clean_up()
        shutil.rmtree(folder, ignore_errors=True)


def test_nothing_is_done_twice_or_forgotten(trading: Trading) -> None:
    draw = random.Random(SEED)
    trading.set_up()
    trading.start_asking()
    wait_for(lambda: min(trading.finished().values()) > 0, "every Mission to have traded once", 180)
    for _ in range(KILLS):
        worker = trading.desk.pid("worker")
        pause = threading.Event()
        pause.wait(draw.uniform(0.5, 6))  # the instant is what is drawn
        os.kill(worker, signal.SIGKILL)
        wait_for(lambda killed=worker: trading.desk.pid("worker") != killed, "the worker to be back")
    before = trading.finished()
    wait_for(
        lambda: all(count > before[name] for name, count in trading.finished().items()),
        f"every Mission to go on: {before}",
        240,
    )
    trading.rows("UPDATE mission SET enabled = false")
    trading.stop_asking()
    wait_for(lambda: trading.unsettled() == 0, "all orders to be settled", 180)
    check_ledger(trading)


def check_ledger(trading: Trading) -> None:
    passed_twice = trading.rows(
        "SELECT missionary_id, task_index, role, count(*) FROM result_log WHERE passed"
        " GROUP BY missionary_id, task_index, role HAVING count(*) > 1"
    )
    assert passed_twice == []
    columns = ("client_order_id", "missionary_id", "role", "task_index", "status", "amount", "filled")
    ours = [
        dict(zip(columns, row, strict=True))
        for row in trading.rows(f"SELECT {', '.join(columns)} FROM trade_order WHERE mode = 'live'")  # noqa: S608
    ]
    by_id = {row["client_order_id"]: row for row in ours}
    theirs = trading.orders_at_the_exchange()
    times_sent = Counter(order["request"]["client_id"] for order in theirs)
    assert set(times_sent) <= set(by_id), "an order at the exchange has no row"
    assert set(times_sent.values()) <= {1}, "an order was sent twice"
    for row in ours:
        if row["status"] in ("open", "filled"):
            assert row["client_order_id"] in times_sent, row
    filled_there: Counter[tuple[Any, ...]] = Counter()
    for order in theirs:
        row = by_id[order["request"]["client_id"]]
        filled = Decimal(str(order["filled"]))
        assert filled == row["filled"], (order, row)
        filled_there[(row["missionary_id"], row["role"], row["task_index"])] += filled
    assert max(filled_there.values()) <= AMOUNT
