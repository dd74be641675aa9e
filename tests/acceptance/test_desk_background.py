"""A desk in the background: started, restarted with what it had, killed, stopped; one start after another."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable

import psutil
import pytest

from tests.acceptance.running_desk import PROGRAM, RunningDesk
from tests.processes import alive
from tests.waiting import wait_for

pytestmark = [pytest.mark.desk, pytest.mark.timeout(600)]


@pytest.fixture
def desk(new_desk: Callable[[], RunningDesk]) -> RunningDesk:
    return new_desk()


def test_restart_logs_and_stop(desk: RunningDesk) -> None:
    nothing = desk.command("stop")
    assert (nothing.returncode, nothing.stderr) == (1, f"missiondesk: no desk runs in {desk.home}\n")
    assert "start one with `missiondesk start`" in desk.command("restart").stderr

    desk.environment["MISSIONDESK_LOG_FILES"] = "7"
    desk.start()
    wait_for(lambda: "sandbox is ready" in desk.said, desk.said, 90)
    first = psutil.Process(desk.pid("desk"))
    del desk.environment["MISSIONDESK_LOG_FILES"]
    restarted = desk.command("restart")
    assert restarted.returncode == 0, restarted.stderr
    assert "the desk is down" in restarted.stdout
    assert "the desk is up" in restarted.stdout.splitlines()[-1]
    second = psutil.Process(desk.pid("desk"))
    assert second.pid != first.pid
    assert os.getsid(second.pid) == second.pid
    assert second.environ()["MISSIONDESK_LOG_FILES"] == "7", "it has the environment that it had"
    status = desk.status()
    assert status["prefect_api_url"] == f"http://127.0.0.1:{desk.prefect_port}/api", "and its options"
    assert set(status["pids"]) > {"desk", "logs", "worker", "console"}

    again = desk.command("start", *desk.ports)
    assert again.returncode == 1
    assert f"a desk already runs in {desk.home} (pid {second.pid}" in again.stderr

    said = desk.command("logs", "1000").stdout
    for part in ("desk", "postgres", "sandbox", "setup", "worker", "console"):
        assert f"Z  {part} " in said, "every part has its name on its lines"
    stamps = [line[:24] for line in said.splitlines()]
    assert stamps == sorted(stamps)
    assert len(desk.command("logs", "3").stdout.splitlines()) == 3

    with subprocess.Popen(
        [PROGRAM, "logs", "0", "--follow"], env=desk.environment, stdout=subprocess.PIPE, text=True
    ) as follower:
        assert follower.stdout is not None
        wait_for(lambda: len(psutil.Process(follower.pid).open_files()) >= 6, "it follows")
        os.kill(desk.pid("sandbox"), signal.SIGKILL)
        assert any("desk        sandbox has ended; starting it again" in line for line in follower.stdout)
        follower.send_signal(signal.SIGINT)
        assert follower.wait(20) == 0

    late = desk.command("stop", "--wait", "0")
    assert late.returncode == 1
    assert f"the desk (pid {second.pid}) has not ended after 0 s; still running: logs " in late.stderr
    wait_for(lambda: not alive([second]), "it goes on stopping", 90)
    assert desk.processes() == []


def test_stop_ends_what_a_killed_desk_left_behind(desk: RunningDesk) -> None:
    desk.start()
    wait_for(lambda: "sandbox is ready" in desk.said, desk.said, 90)
    left = desk.processes()
    desk.kill()
    stopped = desk.command("stop")
    assert stopped.returncode == 0, stopped.stderr
    assert "ending sandbox, which an earlier desk left behind" in stopped.stdout
    assert "stopping postgres, which an earlier desk left behind" in stopped.stdout
    assert alive(left) == []
    assert not (desk.home / "desk.json").exists()


def test_a_desk_that_can_not_come_up_says_why(desk: RunningDesk) -> None:
    refused = desk.command("start", "--exchange", "sandbox", *desk.ports, MISSIONDESK_ENVIRONMENT="pro")
    assert refused.returncode == 1
    assert "missiondesk: MISSIONDESK_SECRET_KEY: expected a value, got none" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert desk.processes() == []
