"""Processes that bring the same items at once, and processes that are killed while they run them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from missiondesk.store.database import connect
from models.timed import TimedStatus
from tests.waiting import wait_for

PROGRAM = Path(__file__).with_name("timed_process.py")
ROUNDS = int(os.environ.get("MISSIONDESK_CHAOS_ROUNDS", "3"))
LEASE_SECONDS = 5


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    opened = connect(database_url)
    with opened.connect() as connection:
        connection.execute(text("CREATE TABLE handled (timestamp bigint, number int)"))
    yield opened
    opened.dispose()


@pytest.fixture
def start(database_url: str) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    environment = {
        **os.environ,
        "MISSIONDESK_DATABASE_URL": database_url,
        "MISSIONDESK_TIMED_LEASE_SECONDS": str(LEASE_SECONDS),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }

    def start(*arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, str(PROGRAM), *map(str, arguments)]
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def let_go(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()


def counts_of(process: subprocess.Popen[str]) -> tuple[int, int]:
    """How many items it ran, and how many it left to others."""
    said, problem = process.communicate(timeout=120)
    assert process.returncode == 0, problem
    ran, skipped = said.split()
    return int(ran), int(skipped)


def handled(engine: Engine) -> Counter[tuple[int, int]]:
    with engine.connect() as connection:
        return Counter((row.timestamp, row.number) for row in connection.execute(text("TABLE handled")))


def statuses(engine: Engine) -> Counter[TimedStatus]:
    with engine.connect() as connection:
        return Counter(map(TimedStatus, connection.scalars(text("SELECT status FROM timed_task"))))


def now() -> int:
    return int(datetime.now(UTC).timestamp())


@pytest.mark.parametrize(("groups", "items"), [(1, 1000), (20, 50)])
def test_a_thousand_items_brought_by_four_processes_at_once_run_once_each(
    engine: Engine, start: Callable[..., subprocess.Popen[str]], groups: int, items: int
) -> None:
    timestamp = now()
    four = [start(timestamp, groups, items, 0) for _ in range(4)]
    let_go(*four)
    counts = [counts_of(process) for process in four]
    assert sum(ran for ran, _ in counts) == 1000
    assert all(ran + skipped == 1000 for ran, skipped in counts)
    assert handled(engine) == Counter(
        {(timestamp - group, number): 1 for group in range(groups) for number in range(items)}
    )
    assert statuses(engine) == {TimedStatus.SUCCESS: 1000}


@pytest.mark.parametrize("round_number", range(ROUNDS))
def test_what_a_killed_process_left_is_picked_up_after_its_lease(
    engine: Engine, start: Callable[..., subprocess.Popen[str]], round_number: int
) -> None:
    timestamp, groups, items = now(), 20, 50
    killed, early = (start(timestamp, groups, items, 0.1) for _ in range(2))
    let_go(killed)
    enough = (1 + round_number * 5 % (groups - 2)) * items
    wait_for(lambda: handled(engine).total() >= enough)
    killed.kill()
    killed.wait(30)

    let_go(early)
    assert counts_of(early) == (0, 1000), "its lease lasts"

    def leases_are_over() -> bool:
        with engine.connect() as connection:
            live = text("SELECT count(*) FROM timed_task WHERE lease_expires_at > now()")
            return connection.execute(live).scalar_one() == 0

    wait_for(leases_are_over)
    left = 1000 - statuses(engine)[TimedStatus.SUCCESS]
    four = [start(timestamp, groups, items, 0) for _ in range(4)]
    let_go(*four)
    assert sum(counts_of(process)[0] for process in four) == left

    found = handled(engine)
    assert statuses(engine) == {TimedStatus.SUCCESS: 1000}
    assert len(found) == 1000
    # A call that was cut off between its own commit and the end of its items is made once more, no other is.
    twice = {timestamp for (timestamp, _), times in found.items() if times != 1}
    assert len(twice) <= 1
    assert max(found.values()) <= 2


def test_what_failed_is_tried_again_by_other_processes_and_what_is_done_never(
    engine: Engine, start: Callable[..., subprocess.Popen[str]]
) -> None:
    def run(timestamp: int, pause: float) -> subprocess.Popen[str]:
        process = start(timestamp, 1, 10, pause)
        let_go(process)
        process.wait(60)
        return process

    lucky, unlucky = now(), now() - 60
    assert "no luck" in run(lucky, -1).communicate()[1]
    assert statuses(engine) == {TimedStatus.FAILURE: 10}
    assert counts_of(run(lucky, 0)) == (10, 0)
    assert counts_of(run(lucky, 0)) == (0, 10)
    assert set(handled(engine).values()) == {1}

    for _ in range(3):
        assert run(unlucky, -1).returncode != 0
    assert counts_of(run(unlucky, 0)) == (0, 10), "it has been begun three times"
    assert statuses(engine) == {TimedStatus.SUCCESS: 10, TimedStatus.FAILURE: 10}


def test_what_nobody_began_in_its_window_expires(
    engine: Engine, start: Callable[..., subprocess.Popen[str]]
) -> None:
    timestamp = now() + 1800
    early, late = (start(timestamp, 1, 10, 0) for _ in range(2))
    let_go(early)
    assert counts_of(early) == (0, 0)
    assert statuses(engine) == {TimedStatus.PENDING: 10}
    with engine.connect() as connection:
        connection.execute(text("UPDATE timed_task SET expires_at = now() - interval '1 second'"))
    let_go(late)
    assert counts_of(late) == (0, 0)
    assert statuses(engine) == {TimedStatus.EXPIRED: 10}
    assert handled(engine) == {}
