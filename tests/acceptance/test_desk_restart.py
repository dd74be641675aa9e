"""Desks that were killed, interrupted or told nonsense: the next start needs no cleaning up by hand."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress

import psutil
import pytest

from missiondesk.store.administration import session
from tests.acceptance.running_desk import RunningDesk
from tests.processes import alive
from tests.waiting import wait_for

pytestmark = [pytest.mark.desk, pytest.mark.timeout(600)]

NewDesk = Callable[[], RunningDesk]


def test_after_kills_of_up_and_of_everything_it_starts_again(new_desk: NewDesk) -> None:
    desk = new_desk()
    desk.start()
    desk.wait_until_up()
    postgres = desk.pid("postgres")
    orphans = [process for process in desk.processes() if process.pid != postgres]
    with session(desk.database_url) as connected:
        connected.execute("INSERT INTO condition (name, valid) VALUES ('kept', true)")
    desk.kill()
    assert desk.command("status").returncode == 3
    assert alive(orphans) == orphans, "they go on until somebody ends them"
    assert "what a killed one left: logs" in desk.command("status").stdout

    desk.forget_what_was_said()
    desk.start()
    desk.wait_until_up()
    assert desk.pid("postgres") == postgres, "the database server is taken over"
    assert alive(orphans) == [], "the others are ended"

    everything = desk.processes()
    desk.kill()
    for process in everything:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(everything, timeout=10)
    desk.forget_what_was_said()
    desk.start()
    desk.wait_until_up()
    with session(desk.database_url) as connected:
        connected.execute("SELECT valid FROM condition WHERE name = 'kept'")
        assert connected.fetchone() == (True,)
    assert desk.interrupt() == 0, desk.said
    assert desk.processes() == []


@pytest.mark.parametrize("milestone", ["postgres is ready", "prefect is ready"])
def test_ctrl_c_while_it_comes_up_leaves_nothing_behind(new_desk: NewDesk, milestone: str) -> None:
    desk = new_desk()
    desk.start()
    wait_for(lambda: milestone in desk.said, desk.said, 90)
    assert desk.interrupt() == 0, desk.said
    assert desk.processes() == []
    assert not (desk.home / "desk.json").exists()


def test_a_kill_while_it_comes_up_does_not_matter(new_desk: NewDesk) -> None:
    desk = new_desk()
    for milestone in ("postgres is ready", "prefect is ready"):
        desk.start()
        wait_for(lambda milestone=milestone: milestone in desk.said, desk.said, 90)
        desk.kill()
        desk.forget_what_was_said()
    desk.start()
    desk.wait_until_up()
    assert desk.interrupt() == 0, desk.said


def test_sigterm_stops_it_like_ctrl_c(new_desk: NewDesk) -> None:
    desk = new_desk()
    desk.start()
    wait_for(lambda: "sandbox is ready" in desk.said, desk.said, 90)
    os.kill(desk.pid("desk"), signal.SIGTERM)
    wait_for(lambda: "the desk is down" in desk.said, desk.said)
    assert desk.processes() == []
