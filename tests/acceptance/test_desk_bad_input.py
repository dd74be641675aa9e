"""Whatever is wrong with a command is said on one screen, with an exit code other than 0 and no traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.running_desk import RunningDesk

pytestmark = [pytest.mark.desk]


def said_by(desk: RunningDesk, *arguments: str) -> str:
    done = desk.command(*arguments)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) < 24
    assert desk.processes() == []
    return done.stderr


@pytest.fixture
def desk(new_desk: Callable[[], RunningDesk]) -> RunningDesk:
    return new_desk()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["up", "--exchange", "mtgox"], "'mtgox' is not one of 'kraken', 'sandbox'"),
        (["up", "--candles", "/nowhere.csv"], "'/nowhere.csv' does not exist"),
        (["up", "--prefect-port", "http"], "MISSIONDESK_PREFECT_PORT: "),
        (["up", "--prefect-port", "70000"], "MISSIONDESK_PREFECT_PORT: "),
        (["up", "--console-port", "0"], "MISSIONDESK_CONSOLE_PORT: "),
        (["up", "--home", "relative"], "MISSIONDESK_HOME: expected an absolute path"),
        (["up", "--home", "/proc/desk"], "the desk can't keep its files in /proc/desk"),
        (["fly"], "No such command 'fly'"),
        (["sandbox", "--candles", "/nowhere.csv"], "/nowhere.csv"),
    ],
)
def test_wrong_arguments(desk: RunningDesk, arguments: list[str], expected: str) -> None:
    assert expected in said_by(desk, *arguments)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mysql://me:geheim@db/desk", "MISSIONDESK_DATABASE_URL: expected postgresql://"),
        ("postgresql://me:geheim@127.0.0.1:1/desk", "does not answer"),
    ],
)
def test_a_wrong_or_unreachable_database(desk: RunningDesk, url: str, expected: str) -> None:
    desk.environment["MISSIONDESK_DATABASE_URL"] = url
    said = said_by(desk, "up", "--exchange", "sandbox", *desk.ports)
    assert expected in said
    assert "geheim" not in said


@pytest.mark.parametrize(
    "arguments",
    [
        ["missions"],
        ["log", "x"],
        ["restart", "x"],
        ["arm", "paper"],
        ["disarm", "paper"],
        ["sync"],
        ["run", "x"],
    ],
)
def test_commands_that_need_a_desk_say_so(desk: RunningDesk, arguments: list[str]) -> None:
    said = said_by(desk, *arguments)
    assert "does not answer" in said or "no desk runs" in said


def test_status_without_a_desk_is_empty(desk: RunningDesk) -> None:
    assert desk.command("status").returncode == 3
    status = desk.status()
    nothing = ("database_url", "prefect_api_url", "console_url", "api_token")
    assert [status[name] for name in nothing] == [None] * 4
    assert status["pids"] == {}
    assert status["missions"] == []


def test_data_of_another_major_version_stops_the_start(desk: RunningDesk) -> None:
    data = Path(desk.home) / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("17\n")
    said = said_by(desk, "up", "--exchange", "sandbox", *desk.ports)
    assert "PostgreSQL 17, expected 18" in said
