"""kill -9 and long stalls of racing processes at random instants: every place is filled exactly once."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from decimal import Decimal
from multiprocessing.process import BaseProcess
from pathlib import Path

from missiondesk.store.database import connect
from models.order import TradeRequest
from tests.faults import order_worker
from tests.faults.order_worker import PATIENCE
from tests.little_venue import BITCOIN, LittleVenue
from tests.order_desk import OrderDesk, WallClock

KILLS = int(os.environ.get("CHAOS_COUNT", "5"))
SEED = int(os.environ.get("CHAOS_SEED", "1"))
PLACES = 4 + 2 * KILLS


class Pair:
    """Two workers at a time, forked from a process that has everything loaded."""

    def __init__(self, database_url: str, venue: Path, request: TradeRequest) -> None:
        self._forks = multiprocessing.get_context("forkserver")
        self._forks.set_forkserver_preload([order_worker.__name__])
        self._arguments = (database_url, venue, request, PLACES)
        self._births = 0
        self.workers: list[BaseProcess] = []

    def fill_up(self) -> None:
        self.workers = [worker for worker in self.workers if worker.is_alive()]
        while len(self.workers) < 2:
            self._births += 1
            arguments = (*self._arguments, SEED * 1000 + self._births)
            worker = self._forks.Process(target=order_worker.work, args=arguments, daemon=True)
            worker.start()
            self.workers.append(worker)

    def end(self) -> None:
        for worker in self.workers:
            worker.kill()
            worker.join()


def test_processes_killed_at_random_instants_fill_every_place_once(database_url: str, tmp_path: Path) -> None:
    clock = WallClock()
    venue = LittleVenue(tmp_path / "venue.sqlite", clock)
    venue.quote("BTC/USD", "19990", "20000")
    venue.deposit({"USD": "100000000"})
    desk = OrderDesk(connect(database_url), venue, clock, PATIENCE)
    request = desk.open_missionary()
    pair = Pair(database_url, venue.path, request)
    chance = random.Random(SEED)
    try:
        for _ in range(KILLS):
            pair.fill_up()
            wait_until_something_is_sent(venue, pair)
            time.sleep(chance.uniform(0, 0.3))
            victim = chance.choice(pair.workers)
            if chance.random() < 0.25:
                stall(victim)
            else:
                victim.kill()
                victim.join()
        finish(pair)
    finally:
        pair.end()

    assert_every_place_was_filled_once(desk, request)


def wait_until_something_is_sent(venue: LittleVenue, pair: Pair) -> None:
    before = len(venue.accepted())
    deadline = time.monotonic() + 60
    while len(venue.accepted()) == before and any(worker.is_alive() for worker in pair.workers):
        assert time.monotonic() < deadline, "nothing is sent any more"
        time.sleep(0.005)


def stall(worker: BaseProcess) -> None:
    """Freeze the process for longer than an order may take to arrive."""
    if worker.pid is not None and worker.is_alive():
        os.kill(worker.pid, signal.SIGSTOP)
        time.sleep(1.3)
        os.kill(worker.pid, signal.SIGCONT)


def finish(pair: Pair) -> None:
    deadline = time.monotonic() + 120
    while not any(worker.exitcode == 0 for worker in pair.workers):
        pair.fill_up()
        for worker in pair.workers:
            worker.join(0.2)
        assert time.monotonic() < deadline, "the places are not filled"


def assert_every_place_was_filled_once(desk: OrderDesk, request: TradeRequest) -> None:
    orders, rows = desk.venue.accepted(), desk.rows()
    by_id = {row.client_order_id: row for row in rows}
    assert set(Counter(order.client_order_id for order in orders).values()) == {1}
    assert {order.client_order_id for order in orders} <= set(by_id)
    at_venue = {order.client_order_id: order for order in orders}
    for row in rows:
        assert row.status.is_final, row
        if row.status == "filled":
            assert row.client_order_id in at_venue
        assert row.filled == (at_venue[row.client_order_id].filled if row.client_order_id in at_venue else 0)
    for index in range(PLACES):
        made = [order for order in orders if by_id[order.client_order_id or ""].task_index == index]
        goal = next(order.amount for order in made if order.filled > 0)
        left = goal - sum((order.filled for order in made), Decimal(0))
        assert 0 <= left < BITCOIN.min_amount
        assert desk.gateway().filled(order_worker.of_place(request, index).key)
