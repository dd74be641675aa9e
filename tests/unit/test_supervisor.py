"""The supervisor, with real little processes and a clock that the test moves."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from console.desk.parts import PlainLog, ProcessPart
from console.desk.processes import end, marked_processes
from console.desk.supervisor import LONGEST_PAUSE_SECONDS, StopRequest, StopRequested, Supervisor
from models.errors import CallOperator
from tests.waiting import wait_for

LIVES = "import time; print('up', flush=True); time.sleep(600)"
DIES = "print('no luck today'); raise SystemExit(7)"
IGNORES_SIGTERM = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + LIVES
LEAVES_A_CHILD = (
    "import os, subprocess, sys, time;"
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True);"
    "print('up', flush=True); time.sleep(600)"
)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Bench:
    """A supervisor and what it said."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.said: list[str] = []
        self.changes = 0
        self.clock = Clock()
        self.stop = StopRequest()
        self.supervisor = Supervisor(self.stop, self.said.append, self._changed, self.clock)

    def _changed(self) -> None:
        self.changes += 1

    def part(self, program: str, name: str = "part") -> ProcessPart:
        log = self.home / "logs" / f"{name}.log"
        says_up = lambda: log.exists() and "up" in log.read_text()  # noqa: E731
        command = [sys.executable, "-c", program]
        return ProcessPart(name, command, self.home, os.environ, says_up, PlainLog(log))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    (tmp_path / "logs").mkdir()
    bench = Bench(tmp_path)
    yield bench
    bench.supervisor.take_down()
    end(marked_processes(tmp_path), patience_seconds=0)


def kill(part: ProcessPart) -> None:
    process = part.process()
    assert process is not None
    process.kill()
    wait_for(lambda: part.process() is None)


def test_a_part_is_up_when_it_says_so(bench: Bench) -> None:
    part = bench.part(LIVES)
    bench.supervisor.bring_up(part, ready_seconds=60)
    assert part.process() is not None
    assert bench.said == ["part is ready after 0.0 s"]
    assert bench.changes == 1


def test_a_part_that_dies_while_it_starts_is_an_error_with_its_last_words(bench: Bench) -> None:
    with pytest.raises(CallOperator, match="no luck today"):
        bench.supervisor.bring_up(bench.part(DIES), ready_seconds=60)


def test_parts_come_up_beside_each_other(bench: Bench) -> None:
    parts = [bench.part(LIVES, name) for name in ("one", "two")]
    for part in parts:
        bench.supervisor.launch(part)
    assert bench.said == []
    bench.supervisor.wait_until_ready(60)
    assert sorted(bench.said) == ["one is ready after 0.0 s", "two is ready after 0.0 s"]


def test_one_that_dies_beside_others_is_an_error_too(bench: Bench) -> None:
    bench.supervisor.launch(bench.part(LIVES, "one"))
    bench.supervisor.launch(bench.part(DIES, "two"))
    with pytest.raises(CallOperator, match=r"two ended while it started(?s:.*)no luck today"):
        bench.supervisor.wait_until_ready(60)


def test_a_part_that_is_never_ready_is_an_error(bench: Bench) -> None:
    part = bench.part("import time; time.sleep(600)")
    bench.clock.now = 0
    bench.supervisor = Supervisor(bench.stop, bench.said.append, lambda: None, time.monotonic)
    with pytest.raises(CallOperator, match="was not ready after 0 s"):
        bench.supervisor.bring_up(part, ready_seconds=0.2)


def test_a_stop_request_ends_the_wait(bench: Bench) -> None:
    bench.stop.make()
    with pytest.raises(StopRequested):
        bench.supervisor.bring_up(bench.part(LIVES), ready_seconds=60)


def test_a_dead_part_comes_back_later_each_time(bench: Bench) -> None:
    part = bench.part(LIVES)
    bench.supervisor.bring_up(part, ready_seconds=60)
    pauses = []
    for _ in range(7):
        kill(part)
        died_at = bench.clock.now
        while part.process() is None:
            bench.supervisor.revive()
            bench.clock.now += 0.5
        pauses.append(bench.clock.now - died_at - 0.5)
    assert pauses == [1, 2, 4, 8, 16, LONGEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS]
    assert bench.said[1].startswith("part has ended; starting it again in 1 s")
    assert bench.changes == 8


def test_a_part_that_lived_long_comes_back_at_once_again(bench: Bench) -> None:
    part = bench.part(LIVES)
    bench.supervisor.bring_up(part, ready_seconds=60)
    for _ in range(2):
        bench.clock.now += 3600
        kill(part)
        bench.supervisor.revive()
        bench.clock.now += 1
        bench.supervisor.revive()
        assert part.process() is not None


def test_a_part_that_cannot_be_launched_is_tried_again(bench: Bench) -> None:
    part = bench.part(LIVES)
    bench.supervisor.bring_up(part, ready_seconds=60)
    kill(part)
    (bench.home / "logs").rename(bench.home / "away")
    bench.supervisor.revive()
    bench.clock.now += 1
    bench.supervisor.revive()
    assert "part did not start" in bench.said[-1]
    (bench.home / "away").rename(bench.home / "logs")
    bench.supervisor.revive()
    bench.clock.now += 2
    bench.supervisor.revive()
    assert part.process() is not None


def test_parts_go_down_in_reverse(bench: Bench) -> None:
    for name in ("first", "second"):
        bench.supervisor.bring_up(bench.part(LIVES, name), ready_seconds=60)
    bench.supervisor.take_down()
    assert bench.said[-2:] == ["stopping second", "stopping first"]
    assert marked_processes(bench.home) == []


def test_a_stubborn_part_is_killed(bench: Bench) -> None:
    part = bench.part(IGNORES_SIGTERM)
    bench.supervisor.bring_up(part, ready_seconds=60, drain_seconds=0.3)
    bench.supervisor.take_down()
    assert part.process() is None


def test_what_a_part_left_behind_is_ended_with_it(bench: Bench) -> None:
    part = bench.part(LEAVES_A_CHILD)
    bench.supervisor.bring_up(part, ready_seconds=60)
    wait_for(lambda: len(marked_processes(bench.home)) == 2)
    kill(part)
    assert len(marked_processes(bench.home, "part")) == 1
    bench.supervisor.take_down()
    assert marked_processes(bench.home) == []


def test_processes_of_another_home_or_part_are_not_found(bench: Bench, tmp_path: Path) -> None:
    bench.supervisor.bring_up(bench.part(LIVES), ready_seconds=60)
    assert len(marked_processes(bench.home, "part")) == 1
    assert marked_processes(bench.home, "other") == []
    assert marked_processes(tmp_path / "other") == []


def test_a_part_has_a_session_of_its_own(bench: Bench) -> None:
    part = bench.part(LIVES)
    bench.supervisor.bring_up(part, ready_seconds=60)
    process = part.process()
    assert process is not None
    assert os.getsid(process.pid) == process.pid != os.getsid(0)


def test_a_step_that_ends_well_or_badly(bench: Bench) -> None:
    bench.supervisor.run_through(bench.part("print('done')", "step"), seconds=60)
    assert bench.said == ["step is done after 0.0 s"]
    with pytest.raises(CallOperator, match="no luck today"):
        bench.supervisor.run_through(bench.part(DIES, "other"), seconds=60)
    assert bench.supervisor.parts == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_request_the_stop_and_repeated_take_the_patience(number: signal.Signals) -> None:
    stop = StopRequest()
    before = signal.getsignal(number)
    with stop.by_signals():
        os.kill(os.getpid(), number)
        wait_for(lambda: bool(stop))
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
            psutil.Process().wait(5)
    assert signal.getsignal(number) is before
