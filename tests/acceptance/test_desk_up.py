"""One desk, up: what it says about itself, and what happens when one of its parts is killed."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Callable
from urllib.request import urlopen

import psutil
import psycopg2
import pytest

from missiondesk.store.administration import session
from tests.acceptance.running_desk import RunningDesk
from tests.processes import alive
from tests.waiting import wait_for

pytestmark = [pytest.mark.desk, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def desk(new_desk: Callable[[], RunningDesk]) -> RunningDesk:
    desk = new_desk()
    desk.start()
    desk.wait_until_up()
    return desk


def kill_part(desk: RunningDesk, part: str) -> None:
    """kill -9, and wait until `up` has started it again."""
    before = desk.pid(part)
    os.kill(before, signal.SIGKILL)

    def is_back() -> bool:
        now = desk.pids().get(part)
        return now is not None and now != before

    wait_for(is_back, f"{part} is back\n{desk.said}", 90)


def prefect_answers(desk: RunningDesk) -> bool:
    try:
        with urlopen(f"{desk.prefect_api_url}/health", timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def test_status_says_where_everything_is(desk: RunningDesk) -> None:
    status = desk.status()
    assert status["prefect_api_url"] == desk.prefect_api_url == f"http://127.0.0.1:{desk.prefect_port}/api"
    assert status["database_url"] == desk.database_url
    assert desk.database_url == f"postgresql://postgres@/missiondesk?host={desk.home}/postgres"
    assert status["console_url"] == f"http://127.0.0.1:{desk.console_port}"
    assert status["exchange"] == "sandbox"
    assert len(status["api_token"]) >= 32
    assert set(status["pids"]) == {
        "desk",
        "logs",
        "postgres",
        "sandbox",
        "prefect",
        "worker",
        "listener",
        "console",
    }
    assert all(psutil.pid_exists(pid) for pid in status["pids"].values())


def test_what_status_says_works(desk: RunningDesk) -> None:
    with session(desk.database_url) as connected:
        connected.execute("SELECT count(*) FROM mission")
    assert prefect_answers(desk)
    with urlopen(f"http://127.0.0.1:{desk.prefect_port}/", timeout=10) as page:
        assert b"<html" in page.read()


def test_status_for_people_shows_no_token(desk: RunningDesk) -> None:
    shown = desk.command("status")
    assert shown.returncode == 0
    assert desk.status()["api_token"] not in shown.stdout
    assert str(desk.prefect_port) in shown.stdout


def test_nobody_else_reads_what_the_desk_keeps(desk: RunningDesk) -> None:
    assert stat.S_IMODE(desk.home.stat().st_mode) == 0o700
    assert stat.S_IMODE((desk.home / "desk.json").stat().st_mode) == 0o600


def test_every_part_has_a_session_of_its_own(desk: RunningDesk) -> None:
    sessions = [os.getsid(pid) for pid in desk.status()["pids"].values()]
    assert len(set(sessions)) == len(sessions)


def test_env_leads_other_programs_to_the_desk(desk: RunningDesk) -> None:
    shown = desk.command("env").stdout
    assert f"export PREFECT_API_URL=http://127.0.0.1:{desk.prefect_port}/api\n" in shown
    assert f"export MISSIONDESK_HOME={desk.home}\n" in shown
    assert "export MISSIONDESK_EXCHANGE=sandbox\n" in shown


def test_a_second_up_in_the_same_home_is_refused(desk: RunningDesk) -> None:
    second = desk.command("up", "--exchange", "sandbox")
    assert second.returncode == 1
    assert f"a desk already runs in {desk.home} (pid {desk.pid('desk')}" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_used_port_is_named_with_who_has_it(desk: RunningDesk, new_desk: Callable[[], RunningDesk]) -> None:
    other = new_desk()
    refused = other.command("up", "--exchange", "sandbox", *desk.ports)
    assert refused.returncode == 1
    assert f"port {desk.prefect_port} is in use by" in refused.stderr
    assert f"(pid {desk.pid('prefect')})" in refused.stderr
    assert "--prefect-port" in refused.stderr
    assert other.processes() == []


@pytest.mark.parametrize("part", ["logs", "worker", "listener", "sandbox", "console"])
def test_a_killed_part_is_started_again(desk: RunningDesk, part: str) -> None:
    kill_part(desk, part)
    assert f"{part} is started again" in desk.said


def test_killed_prefect_is_started_again_on_its_port(desk: RunningDesk) -> None:
    kill_part(desk, "prefect")
    wait_for(lambda: prefect_answers(desk), "Prefect answers again", 90)


def test_killed_postgres_is_started_again_and_prefect_recovers(desk: RunningDesk) -> None:
    with session(desk.database_url) as connected:
        connected.execute("INSERT INTO condition (name, valid) VALUES ('kept', true)")
    kill_part(desk, "postgres")
    with session(desk.database_url) as connected:
        connected.execute("SELECT valid FROM condition WHERE name = 'kept'")
        assert connected.fetchone() == (True,)

    def pools_are_read() -> bool:
        done = desk.command("sync", "--plan")
        return done.returncode == 0

    wait_for(pools_are_read, "sync works again")


def test_doctor_finds_nothing_wrong(desk: RunningDesk) -> None:
    wait_for(lambda: desk.command("doctor").returncode == 0, desk.command("doctor").stdout, 90)


def test_ctrl_c_stops_everything_that_up_started_and_nothing_else(
    new_desk: Callable[[], RunningDesk], desk: RunningDesk
) -> None:
    everything = desk.processes()
    assert desk.interrupt() == 0, desk.said
    assert "the desk is down" in desk.said
    assert alive(everything) == []
    assert desk.processes() == []
    status = desk.command("status", "--json")
    assert status.returncode == 3
    assert desk.status()["pids"] == {}
    assert desk.status()["prefect_api_url"] is None
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect(desk.database_url)
