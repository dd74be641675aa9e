"""Ticks that meet each other, a user or their death: one walks, and nothing is written twice or lost."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from missiondesk.store.finishing import Following
from missiondesk.store.missions import Missions
from missiondesk.store.walks import Walks
from models.errors import LeaseLost
from models.result import Result
from tests.waiting import wait_for

LEASE = 60.0
ROUNDS = 10


@pytest.fixture
def walks(engine: Engine) -> Walks:
    return Walks(engine)


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """What each call returned or raised, all of them let go at the same moment."""
    outcomes: list[Any] = [None] * len(calls)
    gate = threading.Barrier(len(calls))

    def run(position: int, call: Callable[[], Any]) -> None:
        gate.wait(30)
        try:
            outcomes[position] = call()
        except Exception as error:
            outcomes[position] = error

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    return outcomes


class TestTicksThatMeet:
    def test_of_those_that_open_a_missionary_one_gets_it(self, walks, rows):
        for number in range(ROUNDS):
            mission_id = rows.mission(f"dip-{number}", 1)
            starts = at_once(
                *(lambda run=run, n=number: walks.begin(f"dip-{n}", f"run-{run}", LEASE) for run in range(6))
            )
            (walked,) = rows.missionaries(mission_id)
            assert [start.missionary.holder for start in starts if start.leased] == [walked.holder]
            assert {start.missionary.holder for start in starts} == {walked.holder}

    def test_of_those_that_find_a_free_lease_one_gets_it(self, walks, rows):
        mission_id = rows.mission("dip", 1)
        for number in range(ROUNDS):
            rows.expire_leases()
            starts = at_once(
                *(lambda run=f"{number}-{run}": walks.begin("dip", run, LEASE) for run in range(6))
            )
            (walked,) = rows.missionaries(mission_id)
            assert [start.missionary.holder for start in starts if start.leased] == [walked.holder]

    def test_of_those_that_find_a_crashed_whole_walk_one_starts_anew(self, walks, rows):
        mission_id = rows.mission("sweep", 1, walk="whole")
        walks.begin("sweep", "first", LEASE)
        for number in range(ROUNDS):
            rows.expire_leases()
            starts = at_once(
                *(lambda run=f"{number}-{run}": walks.begin("sweep", run, LEASE) for run in range(4))
            )
            assert sum(start.leased for start in starts) == 1
            assert rows.results(mission_id) == ["crashed"] * (number + 1) + [None]

    def test_one_restarts_what_another_walks(self, walks, rows):
        mission_id = rows.mission("dip", 1)
        for _ in range(ROUNDS):
            start = walks.begin("dip", "run-1", LEASE)
            task = start.tasks[start.missionary.task_ids[0]]
            passed = Result(True, "R", "", task.id, task.name, "task", 0, datetime.now(UTC))
            restarted, recorded = at_once(
                lambda: walks.restart("dip"),
                lambda start=start, passed=passed: walks.record(
                    start.missionary.id, "run-1", passed, expected_index=0, advance=True
                ),
            )
            assert restarted.opened.next_index == 0
            assert recorded is None or isinstance(recorded, LeaseLost)
            logged = len(rows.logged(start.missionary.id))
            assert logged == (recorded is None)
        assert rows.results(mission_id) == ["restarted"] * ROUNDS + [None]


class TestFinishing:
    def test_while_a_user_disables_the_mission(self, engine, walks, rows):
        for number in range(ROUNDS):
            sell = rows.mission(f"sell-{number}", enabled=False)
            buy = rows.mission(f"buy-{number}", next_mission_id=sell)
            start = walks.begin(f"buy-{number}", "run-1", LEASE)
            outcome, _ = at_once(
                lambda start=start: walks.finish(start.missionary.id, "run-1", "passed"),
                lambda number=number: Missions(engine).disable(f"buy-{number}"),
            )
            assert outcome.following in (Following.NEXT, Following.DISABLED)
            assert not rows.enabled(buy)
            assert rows.enabled(sell) == (outcome.following is Following.NEXT)
            assert rows.results(sell) == ([None] if rows.enabled(sell) else [])

    def test_two_missions_that_are_each_others_next(self, walks, rows):
        sell = rows.mission("sell")
        buy = rows.mission("buy", next_mission_id=sell)
        for _ in range(ROUNDS):
            rows.sql("UPDATE mission SET enabled = true, next_mission_id = :buy WHERE name = 'sell'", buy=buy)
            rows.sql("UPDATE mission SET enabled = true WHERE name = 'buy'")
            rows.expire_leases()
            held = [walks.begin(name, "run-1", LEASE).missionary.id for name in ("buy", "sell")]
            outcomes = at_once(
                *(lambda held=missionary_id: walks.finish(held, "run-1", "passed") for missionary_id in held)
            )
            assert [outcome.following for outcome in outcomes] == [Following.NEXT, Following.NEXT]
            assert rows.enabled(buy) != rows.enabled(sell)
            going_on = buy if rows.enabled(buy) else sell
            assert rows.results(going_on)[-1] is None

    def test_while_its_next_mission_is_changed(self, walks, rows):
        one, two = rows.mission("one", enabled=False), rows.mission("two", enabled=False)
        mission_id = rows.mission("buy", next_mission_id=one)
        for _ in range(ROUNDS):
            rows.sql("UPDATE mission SET enabled = (name = 'buy')")
            rows.sql("UPDATE mission SET next_mission_id = :one WHERE name = 'buy'", one=one)
            start = walks.begin("buy", "run-1", LEASE)
            outcome, changed = at_once(
                lambda start=start: walks.finish(start.missionary.id, "run-1", "passed"),
                lambda: rows.sql("UPDATE mission SET next_mission_id = :two WHERE name = 'buy'", two=two),
            )
            assert changed is None
            assert not rows.enabled(mission_id)
            assert (rows.enabled(one), rows.enabled(two)) == (
                outcome.next_mission == "one",
                outcome.next_mission == "two",
            )

    def test_while_the_mission_is_deleted(self, engine, walks, rows):
        for _ in range(ROUNDS):
            rows.mission("buy", repeat=True)
            start = walks.begin("buy", "run-1", LEASE)
            outcome, deleted = at_once(
                lambda start=start: walks.finish(start.missionary.id, "run-1", "passed"),
                lambda: Missions(engine).delete("buy"),
            )
            assert deleted is None
            assert isinstance(outcome, LeaseLost) or outcome.following is Following.AGAIN
            rows.sql("DELETE FROM task")


def test_a_process_killed_at_any_moment_leaves_whole_walks_and_whole_steps(database_url, walks, rows):
    steps = 5
    mission_id = rows.mission("dip", steps, repeat=True)
    script = Path(__file__).with_name("walking_process.py")
    for number in range(5):
        enough = len(rows.missionaries(mission_id)) + 2 + number
        url = f"{database_url}&application_name=walker"
        process = subprocess.Popen([sys.executable, str(script), url, "dip"])
        wait_for(lambda enough=enough: len(rows.missionaries(mission_id)) >= enough)
        process.kill()
        process.wait(30)
        wait_for(lambda: rows.connections("walker") == 0)  # the server may still be at its last statement
        *ended, open_one = rows.missionaries(mission_id)
        assert [row.result for row in ended] == ["passed"] * len(ended)
        assert open_one.ended_at is None
        for missionary in ended:
            assert [row.task_index for row in rows.logged(missionary.id)] == [*range(steps), None]
        assert [row.task_index for row in rows.logged(open_one.id)] == [*range(open_one.next_index)]
        for freed in walks.release_by_holder(open_one.holder or ""):
            assert freed.missionary_id == open_one.id


RUNS = st.sampled_from(["run-1", "run-2", "run-3"])
STEPS = st.one_of(
    st.tuples(st.just("begin"), RUNS),
    st.tuples(st.just("pass"), RUNS),
    st.tuples(st.just("fail"), RUNS),
    st.tuples(st.just("pass and release"), RUNS),
    st.tuples(st.just("pass the step before"), RUNS),
    st.tuples(st.just("renew"), RUNS),
    st.tuples(st.just("run out"), st.none()),
    st.tuples(st.just("reap"), st.none()),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sequence=st.lists(STEPS, max_size=30))
def test_the_index_is_always_the_number_of_passed_rows(engine, rows, sequence):
    """Against a model of three lines: who holds the lease, whether it ran out, and how many have passed."""
    walks = Walks(engine)
    rows.sql("DELETE FROM mission")
    rows.sql("DELETE FROM task")
    mission_id = rows.mission("dip", 40)
    start = walks.begin("dip", "run-1", LEASE)
    walked = start.missionary
    holder, ran_out, index = "run-1", False, 0
    for what, run in sequence:
        task = start.tasks[walked.task_ids[index]]
        passed = what.startswith("pass")
        result = Result(passed, "R", "", task.id, task.name, "task", index, datetime.now(UTC))
        expected = index - 1 if what == "pass the step before" else index
        release = ("HELD", "said no") if what in ("fail", "pass and release") else None
        try:
            if what == "begin":
                free = holder in (None, run) or ran_out
                assert walks.begin("dip", run, LEASE).leased == free
                holder, ran_out = (run, False) if free else (holder, ran_out)
            elif what == "run out":
                rows.expire_leases()
                ran_out = holder is not None
            elif what == "reap":
                assert len(walks.reap()) == ran_out
                holder, ran_out = (None, False) if ran_out else (holder, ran_out)
            elif what == "renew":
                walks.renew(walked.id, run, LEASE)
                assert holder == run
                ran_out = False
            else:
                walks.record(walked.id, run, result, expected_index=expected, advance=passed, release=release)
                assert (holder, expected) == (run, index)
                index += passed
                if release:
                    holder, ran_out = None, False
        except LeaseLost:
            assert (holder, expected) != (run, index)
        (row,) = rows.missionaries(mission_id)
        logged = [entry.task_index for entry in rows.logged(walked.id) if entry.passed]
        assert (row.next_index, row.holder) == (index, holder)
        assert logged == list(range(index))
