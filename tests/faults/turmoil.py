"""A desk whose every part is killed, frozen, restarted and lied to while it trades, by a drawn plan."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, assert_never
from urllib.request import Request, urlopen

import psutil

from missiondesk.exchanges.sandbox.process import SandboxProcess
from missiondesk.store.embedded import EmbeddedPostgres
from tests.faults import trade_worker

WORKERS = 3
LOW, HIGH = 50_000, 50_500

ANSWERS: list[dict[str, Any]] = [
    {"endpoint": "AddOrder", "acts": True, "answer": "dropped", "probability": 0.08},
    {"endpoint": "AddOrder", "acts": False, "answer": "dropped", "probability": 0.04},
    {"endpoint": "AddOrder", "answer": "truncated", "probability": 0.04},
    {"endpoint": "AddOrder", "acts": True, "answer": "html", "status": 502, "probability": 0.04},
    {"endpoint": "AddOrder", "acts": False, "answer": "status", "status": 503, "probability": 0.04},
    {"endpoint": "AddOrder", "answer": "error", "error": "EService:Busy", "probability": 0.03},
    {"endpoint": "AddOrder", "answer": "error", "error": "EOrder:Insufficient funds", "probability": 0.03},
    {"endpoint": "AddOrder", "wait_before": 1.0, "probability": 0.02},
    {"endpoint": "AddOrder", "wait_after": 1.0, "probability": 0.02},
    {"endpoint": "CancelOrder", "acts": True, "answer": "dropped", "probability": 0.1},
    {"endpoint": "*", "answer": "html", "status": 502, "probability": 0.01},
    {"endpoint": "*", "answer": "dropped", "probability": 0.005},
    {"endpoint": "*", "answer": "truncated", "probability": 0.005},
    {"endpoint": "*", "wait_before": 0.1, "wait_after": 0.1, "probability": 0.05},
]
"""What the exchange's answers suffer all the time."""


class Blow(StrEnum):
    """What may happen next."""

    KILL = "kill -9 of a worker"
    FREEZE = "a worker stands still for longer than its lease and its order's deadline"
    DATABASE_STOPS = "the database is stopped, open transactions rolled back, and started again"
    DATABASE_DIES = "kill -9 of the database, started again"
    EXCHANGE_DIES = "kill -9 of the exchange, started again"


_WEIGHTS = {
    Blow.KILL: 80,
    Blow.FREEZE: 8,
    Blow.DATABASE_STOPS: 4,
    Blow.DATABASE_DIES: 4,
    Blow.EXCHANGE_DIES: 4,
}
_FROZEN_SECONDS = 3.5


@dataclass(frozen=True)
class Planned:
    """A blow, so many seconds after the one before; `draw` in [0, 1) chooses whom it hits."""

    after_seconds: float
    blow: Blow
    draw: float


def plan(seed: int) -> Iterator[Planned]:
    """Every kind of blow soon, and then more without end: the same for the same seed."""
    chance = random.Random(seed)
    first = chance.sample(list(Blow), len(Blow))
    while True:
        blow = first.pop() if first else chance.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
        yield Planned(chance.uniform(0.05, 1), blow, chance.random())


class Turmoil:
    """Workers on a database and an exchange of their own; at each planned blow the price jumps as well."""

    def __init__(self, home: Path, database: EmbeddedPostgres, exchange: SandboxProcess, seed: int) -> None:
        self._forks = multiprocessing.get_context("forkserver")
        self._forks.set_forkserver_preload([trade_worker.__name__, "ccxt"])
        self.database, self.exchange = database, exchange
        self._home, self._seed = home, seed
        self._workers: list[BaseProcess] = []
        self._asleep: list[tuple[float, BaseProcess]] = []
        self._born = 0
        self._price = HIGH
        self.failed: list[str] = []

    def keep_working(self) -> None:
        """Replace the workers that were killed, and wake those whose time has come."""
        for until, worker in list(self._asleep):
            if time.monotonic() >= until:
                self._asleep.remove((until, worker))
                _signal(worker, signal.SIGCONT)
        for worker in self._workers:
            if worker.exitcode not in (None, 0, -signal.SIGKILL):
                self.failed.append(f"{worker.name} ended by itself with {worker.exitcode}; it says why above")
        self._workers = [worker for worker in self._workers if worker.exitcode is None]
        while len(self._workers) < WORKERS:
            self._born += 1
            arguments = (
                self._home,
                self.database.url("desk"),
                self.exchange.url,
                self._seed * 100_000 + self._born,
            )
            worker = self._forks.Process(target=trade_worker.work, args=arguments, daemon=True)
            worker.start()
            self._workers.append(worker)

    def strike(self, planned: Planned) -> None:
        self._price = LOW + HIGH - self._price
        self._show_price()
        victim = self._workers[int(planned.draw * len(self._workers))]
        match planned.blow:
            case Blow.KILL:
                victim.kill()
                victim.join()
            case Blow.FREEZE:
                _signal(victim, signal.SIGSTOP)
                self._asleep.append((time.monotonic() + _FROZEN_SECONDS, victim))
            case Blow.DATABASE_STOPS:
                self.database.stop()
                self.database.start()
            case Blow.DATABASE_DIES:
                first = self.database.process()
                assert first is not None
                first.kill()
                psutil.wait_procs([first], timeout=10)
                self.database.start()
            case Blow.EXCHANGE_DIES:
                self.exchange.kill()
                self.start_exchange()
            case other:
                assert_never(other)

    def start_exchange(self) -> None:
        """With all its faults, drawn from the seed."""
        self.exchange.start()
        self._show_price()
        for number, fault in enumerate(ANSWERS):
            self.ask("faults", fault | {"times": None, "seed": self._seed * 100 + number})

    def _show_price(self) -> None:
        self.ask("markets", {"pair": "BTC/USD", "price": self._price})

    def end_faults(self) -> None:
        request = Request(f"{self.exchange.url}/sandbox/faults", method="DELETE")
        with urlopen(request, timeout=20) as answer:
            assert json.load(answer) == []

    def ask(self, what: str, change: dict[str, Any] | None = None) -> Any:
        """What the exchange shows beside its protocol; with `change`, after changing it."""
        body = None if change is None else json.dumps(change).encode()
        with urlopen(Request(f"{self.exchange.url}/sandbox/{what}", body), timeout=20) as answer:
            return json.load(answer)

    def end(self) -> None:
        for worker in self._workers:
            worker.kill()
            worker.join()


def _signal(worker: BaseProcess, number: signal.Signals) -> None:
    if worker.pid is not None and worker.exitcode is None:
        os.kill(worker.pid, number)


def shown(blows: Iterable[Planned]) -> str:
    return "\n".join(f"  after {planned.after_seconds:.2f} s: {planned.blow}" for planned in blows)
