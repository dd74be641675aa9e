"""A running desk takes over what a call left for later, and what died in the middle."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from missiondesk.store.administration import session
from tests.acceptance.running_desk import RunningDesk
from tests.waiting import wait_for

pytestmark = [pytest.mark.desk, pytest.mark.timeout(600)]

USERS_MODULE = """
import os
import signal
import sys
import time

import psycopg2

from missiondesk.timed import timed_task


@timed_task(task="broadcast", task_name="The broadcast begins", flag="1", unique=["channel"])
def tell_users(executed_data, place):
    with psycopg2.connect(os.environ["MISSIONDESK_DATABASE_URL"]) as connection:
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO told VALUES (%s, %s, now())", (str(executed_data), place))
    connection.close()
    if place == "a room that burns once":
        with psycopg2.connect(os.environ["MISSIONDESK_DATABASE_URL"]) as connection:
            with connection.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM told WHERE place = %s", (place,))
                (times,) = cursor.fetchone()
        if times == 1:
            os.kill(os.getpid(), signal.SIGKILL)
"""

CALL = """
import json, sys, time
from users_module import tell_users
executed_data = {int(timestamp): items for timestamp, items in json.loads(sys.argv[1]).items()}
print(tell_users(executed_data, sys.argv[2]))
"""


@pytest.fixture(scope="module")
def users_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("users")
    (folder / "users_module.py").write_text(USERS_MODULE)
    return folder


@pytest.fixture(scope="module")
def desk(new_desk: Callable[[], RunningDesk], users_folder: Path) -> Iterator[RunningDesk]:
    desk = new_desk()
    desk.environment |= {"PYTHONPATH": str(users_folder), "MISSIONDESK_TIMED_LEASE_SECONDS": "3"}
    desk.start()
    desk.wait_until_up()
    query(desk, "CREATE TABLE told (executed_data text, place text, told_at timestamptz)")
    yield desk


def query(desk: RunningDesk, statement: str, *given: Any) -> list[Any]:
    with session(desk.database_url) as cursor:
        cursor.execute(statement, given)
        return cursor.fetchall() if cursor.description else []


def call(desk: RunningDesk, executed_data: dict[int, Any], place: str) -> str:
    """The user's own process, which knows the database alone."""
    ran = subprocess.run(
        [sys.executable, "-c", CALL, json.dumps(executed_data), place],
        env={**desk.environment, "MISSIONDESK_DATABASE_URL": desk.database_url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode in (0, -9), ran.stderr
    return ran.stdout


def test_what_is_ahead_runs_once_at_its_time(desk: RunningDesk) -> None:
    timestamp = int(time.time()) + 25
    executed_data = {timestamp: [{"channel": "A"}, {"channel": "B"}]}
    said = call(desk, executed_data, "room 1")
    assert said == "2 pending; the desk runs them at their time\n"
    assert call(desk, executed_data, "room 1") == said
    found = "SELECT executed_data, extract(epoch FROM told_at) FROM told WHERE place = 'room 1'"
    wait_for(lambda: query(desk, found), "the items ran", 90)
    ((told, told_at),) = query(desk, found)
    assert told == str(executed_data)
    assert float(told_at) >= timestamp
    finished = "SELECT DISTINCT status FROM timed_task WHERE executed_time = to_timestamp(%s)"
    wait_for(lambda: query(desk, finished, timestamp) == [(1,)], "their end is written")
    print(f"late by {float(told_at) - timestamp:.2f} s")  # noqa: T201


def test_a_call_that_is_killed_in_the_middle_is_made_again_by_the_desk(desk: RunningDesk) -> None:
    timestamp = int(time.time()) - 2  # not the second in which the items of the other test ran
    assert call(desk, {timestamp: [{"channel": "A"}]}, "a room that burns once") == ""
    row = "SELECT status, attempts FROM timed_task WHERE executed_time = to_timestamp(%s)"
    assert query(desk, row, timestamp) == [(0, 1)]
    wait_for(lambda: query(desk, row, timestamp) == [(1, 2)], "the desk ran it again", 90)
    assert query(desk, "SELECT count(*) FROM told WHERE place = 'a room that burns once'") == [(2,)]
