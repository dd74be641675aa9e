"""A worker that stood still while its Missionary was taken over sends nothing when it wakes."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from multiprocessing.process import BaseProcess
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from missiondesk.exchanges.sandbox.server import SandboxServer
from missiondesk.templates.run import try_template
from missiondesk.ticks.tick import Run, run_tick
from tests.faults import trade_worker
from tests.faults.order_books import check_orders, order_rows, orders_at
from tests.faults.trade_missions import arm_account, save_mission
from tests.faults.trade_worker import FROZEN_AT, LEASE_SECONDS, TradeDesk, unsurprised
from tests.waiting import wait_for

AMOUNT = Decimal("0.01")


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Iterator[TradeDesk]:
    with SandboxServer() as server:
        desk = TradeDesk(tmp_path, database_url, server.url)
        yield desk
        desk.engine.dispose()


def test_what_wakes_up_late_sends_nothing(desk: TradeDesk) -> None:
    """Each instant has a Mission and an account of its own, so that all can stand still together."""
    for instant in FROZEN_AT:
        arm_account(desk, instant)
        save_mission(desk, instant, instant, [("market_buy", {"amount": str(AMOUNT)})])
    frozen = [frozen_worker(desk, instant) for instant in FROZEN_AT]
    try:
        for worker in frozen:
            wait_for(lambda worker=worker: is_stopped(worker), f"{worker.name} to stand still")
        wait_for(lambda: all_have_finished(desk), "others to take every Mission over")
        for worker in frozen:
            os.kill(worker.pid or 0, signal.SIGCONT)
            worker.join(30)
        assert [worker.exitcode for worker in frozen] == [0] * len(frozen)
    finally:
        for worker in frozen:
            worker.kill()
            worker.join()
    rows = order_rows(desk)
    check_orders(rows, orders_at(desk.place[-1]))
    filled = {row["account"]: Decimal(0) for row in rows}
    for row in rows:
        filled[row["account"]] += row["filled"]
    assert filled == dict.fromkeys(FROZEN_AT, AMOUNT)


def frozen_worker(desk: TradeDesk, instant: str) -> BaseProcess:
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload([trade_worker.__name__, "ccxt"])
    arguments = (*desk.place, instant, instant)
    worker = forks.Process(target=trade_worker.freeze, args=arguments, name=instant, daemon=True)
    worker.start()
    return worker


def is_stopped(worker: BaseProcess) -> bool:
    assert worker.is_alive(), f"{worker.name}: it never stood still"
    return psutil.Process(worker.pid).status() == psutil.STATUS_STOPPED


def all_have_finished(desk: TradeDesk) -> bool:
    """After another tick of each Mission that has not."""
    for mission_id in desk.missions.available_ids():
        run = Run(uuid4().hex, datetime.now(UTC), ad_hoc=True)
        run_tick(desk, mission_id, run, unsurprised(try_template), lease_seconds=LEASE_SECONDS)
    return desk.missions.available_ids() == []
