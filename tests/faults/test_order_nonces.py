"""Several processes trade with one key, whose calls the exchange counts: none comes out of turn."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import pytest

from missiondesk.exchanges.sandbox.access import Access, AccessRefused
from missiondesk.exchanges.sandbox.server import SandboxServer
from tests.faults import trade_worker
from tests.faults.order_books import check_orders, order_rows, orders_at
from tests.faults.trade_missions import arm_account, save_mission
from tests.faults.trade_worker import TradeDesk

PROCESSES, MISSIONS = 4, 12


def test_no_call_of_a_shared_key_is_refused(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[str] = []
    admit = Access.admit

    def noting(access: Access, *call: Any) -> None:
        try:
            admit(access, *call)
        except AccessRefused as error:
            refused.append(str(error))
            raise

    monkeypatch.setattr(Access, "admit", noting)
    with SandboxServer() as server:
        desk = TradeDesk(tmp_path, database_url, server.url)
        arm_account(desk, "trader")
        for number in range(MISSIONS):
            walk = [("market_buy", {"amount": "0.01"}), ("close_long", {})]
            save_mission(desk, f"trader {number}", "trader", walk)
        forks = multiprocessing.get_context("forkserver")
        forks.set_forkserver_preload([trade_worker.__name__, "ccxt"])
        workers = [
            forks.Process(target=trade_worker.work, args=(*desk.place, seed), daemon=True)
            for seed in range(PROCESSES)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)
        assert [worker.exitcode for worker in workers] == [0] * PROCESSES
        rows = order_rows(desk)
        check_orders(rows, orders_at(server.url))
        desk.engine.dispose()
    assert refused == []
    assert len(rows) == 2 * MISSIONS
