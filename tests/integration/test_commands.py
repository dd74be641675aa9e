"""The commands that only need the database, as people type them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
from pydantic import SecretStr

from console.verbs import doctor
from missiondesk.desk_file import DeskFile, ProcessIdentity
from missiondesk.settings import Settings
from missiondesk.store.administration import session
from missiondesk.store.embedded import EmbeddedPostgres

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def missiondesk(database_url: str, short_home: Path) -> Command:
    """Runs `missiondesk …` against the test's own database, with text for its stdin."""
    environment = {
        **{
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("MISSIONDESK", "PREFECT"))
        },
        "MISSIONDESK_HOME": str(short_home),
        "MISSIONDESK_DATABASE_URL": database_url,
        "COLUMNS": "160",
    }

    def run(*arguments: str, stdin: str = "", **extra: str) -> subprocess.CompletedProcess[str]:
        program = Path(sys.executable).with_name("missiondesk")
        return subprocess.run(
            [program, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            env=environment | extra,
            check=False,
        )

    return run


@pytest.fixture
def rows(database_url: str) -> Callable[[str], list[tuple[object, ...]]]:
    def execute(statement: str) -> list[tuple[object, ...]]:
        with session(database_url) as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []

    return execute


@pytest.fixture
def dip(rows: Callable[[str], list[tuple[object, ...]]]) -> None:
    """A Mission of two Tasks, and one whose row is not valid."""
    rows(
        "INSERT INTO task (id, name, template, params, period) VALUES"
        """ (1, 'RSI low', 'rsi_below', '{"symbol": "BTC/USD", "timeframe": "1h", "value": 30}', '60min'),"""
        """ (2, 'buy', 'market_buy', '{"symbol": "BTC/USD", "amount": "0.1", "unit": "base"}', '1min')"""
    )
    rows("INSERT INTO mission (name, task_ids, target_id) VALUES ('dip', ARRAY[1, 2], 2)")
    rows("INSERT INTO mission (name, task_ids, timezone) VALUES ('lost', ARRAY[1], 'Mars/Base')")


def test_no_missions_yet(missiondesk: Command) -> None:
    shown = missiondesk("missions")
    assert shown.returncode == 0
    assert "there are no Missions yet" in shown.stdout


@pytest.mark.usefixtures("dip")
def test_missions_are_listed_with_their_step_and_what_is_wrong(missiondesk: Command) -> None:
    shown = missiondesk("missions").stdout
    assert "1/2 RSI low" in shown
    assert "timezone" in shown
    assert "Mars/Base" in shown


@pytest.mark.usefixtures("dip")
def test_a_mission_that_has_logged_nothing(missiondesk: Command) -> None:
    assert missiondesk("log", "dip").stdout == "dip has logged nothing yet\n"


@pytest.mark.usefixtures("dip")
def test_a_log_reads_from_old_to_new(
    missiondesk: Command, rows: Callable[[str], list[tuple[object, ...]]]
) -> None:
    missiondesk("restart", "dip")
    rows(
        "INSERT INTO result_log"
        " (mission_id, missionary_id, task_id, task_name, role, task_index, passed, rule, msg)"
        " SELECT mission_id, id, 1, 'RSI low', 'task', 0, number = 3, 'RSI_BELOW', 'RSI is ' || 50 - number"
        " FROM missionary, generate_series(1, 3) AS number"
    )
    lines = missiondesk("log", "dip", "-n", "2").stdout.splitlines()
    said = [line.partition("RSI low: ")[2] for line in lines]
    assert said == ["FAIL: RSI_BELOW RSI is 48", "PASS: RSI_BELOW RSI is 47"]


@pytest.mark.usefixtures("dip")
def test_restart_ends_the_walk_and_begins_a_fresh_one(
    missiondesk: Command, rows: Callable[[str], list[tuple[object, ...]]]
) -> None:
    assert missiondesk("restart", "dip").stdout == "dip begins a fresh walk\n"
    missiondesk("restart", "dip")
    ended = rows("SELECT result FROM missionary WHERE ended_at IS NOT NULL")
    assert ended == [("restarted",)]
    assert len(rows("SELECT 1 FROM missionary WHERE ended_at IS NULL")) == 1


@pytest.mark.usefixtures("dip")
def test_restart_tells_of_orders_that_may_still_rest(
    missiondesk: Command, rows: Callable[[str], list[tuple[object, ...]]]
) -> None:
    missiondesk("restart", "dip")
    rows(
        "INSERT INTO trade_order (client_order_id, mission_id, missionary_id, role, task_index, attempt,"
        " account, exchange, symbol, side, type, amount, price, mode, status)"
        " SELECT 'order-1', mission_id, id, 'task', 1, 1,"
        " 'paper', 'nowhere', 'BTC/USD', 'buy', 'limit', 1, 5, 'paper', 'open' FROM missionary"
    )
    restarted = missiondesk("restart", "dip")
    assert restarted.returncode == 1
    assert restarted.stdout == "dip begins a fresh walk\n"
    assert "may still rest: buy 1 BTC/USD at 5 (paper, nowhere): " in restarted.stderr
    assert "cancel these at the exchange" in restarted.stderr


@pytest.mark.usefixtures("dip")
@pytest.mark.parametrize("command", ["log", "restart"])
def test_an_unknown_mission_names_those_that_exist(missiondesk: Command, command: str) -> None:
    refused = missiondesk(command, "deep")
    assert refused.returncode == 1
    assert refused.stderr == "missiondesk: unknown mission 'deep'; existing: dip, lost\n"


def test_an_account_without_limits_is_not_armed(missiondesk: Command) -> None:
    refused = missiondesk("arm", "paper", stdin="y\n")
    assert refused.returncode == 1
    assert "can't be armed without max_order_notional and max_daily_loss" in refused.stderr


def test_arming_asks_back_and_is_audited(
    missiondesk: Command, rows: Callable[[str], list[tuple[object, ...]]]
) -> None:
    rows("INSERT INTO account (name, max_order_notional, max_daily_loss) VALUES ('main', 500, 100)")
    armed = "SELECT armed FROM account WHERE name = 'main'"
    declined = missiondesk("arm", "main", stdin="n\n")
    assert declined.returncode != 0
    assert "largest order          500" in declined.stdout
    assert "news go to             the desk's channels" in declined.stdout
    assert rows(armed) == [(False,)]
    assert missiondesk("arm", "main", stdin="y\n").returncode == 0
    assert rows(armed) == [(True,)]
    assert missiondesk("disarm", "main").returncode == 0
    assert rows(armed) == [(False,)]


def test_an_unknown_account_names_those_that_exist(missiondesk: Command) -> None:
    refused = missiondesk("arm", "--yes", "mine")
    assert refused.returncode == 1
    assert "unknown account 'mine'; existing: paper" in refused.stderr


@pytest.mark.parametrize("command", ["halt", "resume"])
def test_a_database_that_no_desk_has_used_says_so(
    missiondesk: Command, postgres: EmbeddedPostgres, command: str
) -> None:
    refused = missiondesk(command, MISSIONDESK_DATABASE_URL=postgres.url("postgres"))
    assert refused.returncode == 1
    assert refused.stderr.endswith("holds no Mission table yet: `missiondesk up` makes it\n")


@pytest.mark.parametrize("arguments", [["sync"], ["sync", "--plan"], ["run", "dip"]])
def test_what_needs_prefect_says_so(missiondesk: Command, arguments: list[str]) -> None:
    refused = missiondesk(*arguments)
    assert refused.returncode == 1
    assert "start one with `missiondesk up`" in refused.stderr


def test_a_prefect_that_does_not_answer_is_named(missiondesk: Command, free_port: int) -> None:
    url = f"http://127.0.0.1:{free_port}/api"
    refused = missiondesk("sync", PREFECT_API_URL=url)
    assert f"Prefect's server at {url} does not answer" in refused.stderr


def test_doctor_looks_at_every_part_though_prefect_is_down(
    missiondesk: Command, short_home: Path, free_port: int, database_url: str
) -> None:
    DeskFile(
        desk=ProcessIdentity.of(psutil.Process()),
        started_at=datetime.now(UTC),
        database_url=SecretStr(database_url),
        prefect_api_url=f"http://127.0.0.1:{free_port}/api",
    ).write(short_home)
    examined = missiondesk("doctor")
    assert examined.returncode == 1
    parts = [line[4:16].strip() for line in examined.stdout.splitlines() if line[:3] in ("ok ", "!! ")]
    assert parts == [
        "libraries",
        "home",
        "desk",
        "database",
        "Missions",
        "exchange",
        "Prefect",
        "worker",
        "schedules",
    ]
    assert examined.stdout.count("does not answer") == 2
    assert examined.stderr == ""


def test_doctor_says_what_an_unexpected_error_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> str:
        raise KeyError("prefect")

    monkeypatch.setattr(doctor, "_libraries", broken)
    url = "postgresql://nobody@127.0.0.1:1/none"
    settings = Settings.load({"MISSIONDESK_HOME": str(tmp_path), "MISSIONDESK_DATABASE_URL": url})
    assert not doctor.examine(settings)
    shown = capsys.readouterr().out
    assert "!!  libraries    KeyError: 'prefect'\n" in shown
    assert "!!  Missions     " in shown


def test_help_comes_at_once(missiondesk: Command) -> None:
    shown = missiondesk("--help").stdout
    for command in (
        "up",
        "status",
        "run",
        "missions",
        "log",
        "restart",
        "arm",
        "disarm",
        "sync",
        "env",
        "doctor",
    ):
        assert f"  {command} " in shown


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; import console.command;"
        "print([name for name in ('prefect', 'ccxt', 'pandas', 'sqlalchemy', 'rich') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
