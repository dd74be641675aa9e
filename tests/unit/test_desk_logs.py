"""The logs of a desk's parts: of bounded size, nothing lost when they move on, read as one."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from console.desk.log_files import RotatingFile, last_lines, stamped
from console.desk.log_pipes import PipedLog, pipe_path
from console.desk.log_reading import LogFollower, newest_lines
from tests.waiting import wait_for

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
LARGEST_BYTES = 20_000
WRITERS, LINES = 3, 2000
WRITES = """
import sys
for number in range({lines}):
    sys.stdout.write(f"writer {writer} line {{number}}\\n")
    sys.stdout.flush()
"""


@contextmanager
def keeper(folder: Path, *parts: str, kept: int = 1000) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "console.desk.log_keeper", str(folder), str(LARGEST_BYTES), str(kept)]
    with subprocess.Popen([*command, *parts]) as process:
        yield process
        process.terminate()
        assert process.wait(20) in (0, -signal.SIGKILL)


@pytest.fixture
def piped(tmp_path: Path) -> Iterator[PipedLog]:
    log = PipedLog(tmp_path / "worker.log")
    yield log
    log.close()


def say(log: PipedLog, text: str) -> None:
    with log.output.open("ab") as output:
        output.write(text.encode())


def test_files_move_on_before_they_grow_too_large(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "desk.log"
    log = RotatingFile(path, largest_bytes=10, kept=2)
    for number in range(5):
        log.write(b"%d" % number * 7)
    assert {each.name: each.read_bytes() for each in path.parent.iterdir()} == {
        "desk.log": b"4" * 7,
        "desk.log.1": b"3" * 7,
        "desk.log.2": b"2" * 7,
    }
    RotatingFile(path, largest_bytes=10, kept=2).write(b"on")
    assert path.read_bytes() == b"4444444on", "a new writer goes on where the last one ended"


def test_every_line_has_its_instant_in_front() -> None:
    instant = NOON.replace(microsecond=5999).astimezone(tz=None)
    assert stamped("first\nsecond", instant) == (
        b"2026-01-31T12:00:00.005Z first\n2026-01-31T12:00:00.005Z second\n"
    )


def test_nothing_is_lost_while_files_move_on(tmp_path: Path, piped: PipedLog) -> None:
    with keeper(tmp_path, "worker"):
        with piped.output.open("ab") as output:
            writers = [
                subprocess.Popen(
                    [sys.executable, "-c", WRITES.format(writer=writer, lines=LINES)], stdout=output
                )
                for writer in range(WRITERS)
            ]
        assert [writer.wait(60) for writer in writers] == [0] * WRITERS
    files = sorted(tmp_path.glob("worker.log*"), key=lambda path: -int(path.suffix.lstrip(".log") or 0))
    assert len(files) > WRITERS * LINES * 40 // LARGEST_BYTES
    assert all(path.stat().st_size <= LARGEST_BYTES for path in files)
    found = [line[25:] for path in files for line in path.read_text().splitlines()]
    assert len(found) == WRITERS * LINES
    for writer in range(WRITERS):
        of_writer = [line for line in found if line.startswith(f"writer {writer} ")]
        assert of_writer == [f"writer {writer} line {number}" for number in range(LINES)]


def test_a_part_goes_on_speaking_while_no_keeper_lives(tmp_path: Path, piped: PipedLog) -> None:
    with keeper(tmp_path, "worker") as process:
        say(piped, "before\n")
        assert piped.last_words().endswith(" before")
        process.kill()
        process.wait(10)
        say(piped, "between\n")
    with keeper(tmp_path, "worker"):
        say(piped, "after\n")
        assert piped.last_words().endswith(" after")
        say(piped, "no end of line")
    assert re.findall(r"Z (.*)", (tmp_path / "worker.log").read_text()) == [
        "before",
        "between",
        "after",
        "no end of line",
    ]


def test_lines_that_can_not_be_written_are_counted(tmp_path: Path, piped: PipedLog) -> None:
    in_the_way = tmp_path / "worker.log"
    in_the_way.mkdir()
    with keeper(tmp_path, "worker"):
        say(piped, "one\ntwo\n")
        wait_for(lambda: not unread(piped))
        in_the_way.rmdir()
        say(piped, "three\n")
        assert piped.last_words().splitlines()[0].endswith("2 line(s) could not be written here")
        assert piped.last_words().endswith("three")


def unread(log: PipedLog) -> bool:
    return bool(log._unread_bytes())


def test_all_parts_are_read_as_one_by_time(tmp_path: Path) -> None:
    for second, part in enumerate(["worker", "desk", "worker", "console"]):
        log = RotatingFile(tmp_path / f"{part}.log", 1, 100)
        log.write(stamped(f"said at {second}\n  and more", NOON + timedelta(seconds=second)))
    with (tmp_path / "worker.log").open("a") as worker:
        worker.write("without a stamp\n")
    lines = newest_lines(tmp_path, 6)
    assert [(line.part, line.text) for line in lines] == [
        ("desk", "  and more"),
        ("worker", "said at 2"),
        ("worker", "  and more"),
        ("worker", "without a stamp"),
        ("console", "said at 3"),
        ("console", "  and more"),
    ]
    assert len(newest_lines(tmp_path, 100)) == 9, "files that moved on are read too"
    assert newest_lines(tmp_path / "nowhere", 5) == []
    assert str(lines[-2]) == "2026-01-31T12:00:03.000Z  console     said at 3"


def test_what_comes_is_followed_through_moves_and_into_new_logs(tmp_path: Path) -> None:
    worker = RotatingFile(tmp_path / "worker.log", 100, 10)
    worker.write(stamped("long ago", NOON))
    follower = LogFollower(tmp_path)
    seen = []
    for number in range(20):
        worker.write(stamped(f"line {number}", NOON))
        if number == 10:
            RotatingFile(tmp_path / "hub-4300.log", 1000, 1).write(stamped("hello", NOON))
        seen += [line.text for line in follower.new_lines()]
    follower.close()
    seen.remove("hello")
    assert seen == [f"line {number}" for number in range(20)]


def test_the_last_lines_of_a_log(tmp_path: Path) -> None:
    path = tmp_path / "worker.log"
    assert last_lines(path) == ""
    path.write_text("".join(f"line {number}\n" for number in range(1000)))
    assert re.findall(r"\d+", last_lines(path, 3)) == ["997", "998", "999"]


def test_a_pipe_has_the_name_of_its_part(tmp_path: Path) -> None:
    assert pipe_path(tmp_path / "worker.log") == tmp_path / "pipes" / "worker"
