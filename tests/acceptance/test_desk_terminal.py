"""A desk on a real terminal: a live table of the Missions, and Ctrl-C from the keyboard."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
from collections.abc import Callable
from contextlib import suppress

import pytest

from tests.acceptance.running_desk import PROGRAM, RunningDesk
from tests.processes import alive
from tests.waiting import wait_for

pytestmark = [pytest.mark.desk, pytest.mark.timeout(600)]


def test_the_table_of_missions_is_live_and_ctrl_c_reaches_up_alone(
    new_desk: Callable[[], RunningDesk],
) -> None:
    desk = new_desk()
    screen, terminal = pty.openpty()
    shown = ""

    def shows(pattern: str) -> bool:
        nonlocal shown
        # Linux answers with an error once nobody has the other end open.
        with suppress(OSError):
            while select.select([screen], [], [], 0.1)[0]:
                shown += os.read(screen, 65536).decode(errors="replace")
        return re.search(pattern, shown) is not None

    with subprocess.Popen(
        [PROGRAM, "up", "--exchange", "sandbox", *desk.ports],
        env={**desk.environment, "COLUMNS": "140", "LINES": "40", "TERM": "xterm"},
        preexec_fn=lambda: os.login_tty(terminal),
    ) as up:
        os.close(terminal)
        try:
            wait_for(lambda: shows("the desk is up"), shown, 150)
            wait_for(lambda: shows("waits for.*next tick"), shown)
            wait_for(lambda: shows(r"btc-dip.*\d/2 (hourly RSI under 30|price under the lower band)"), shown)
            wait_for(lambda: shows(r"btc-first-buy.*FILLED"), shown)
            everything = desk.processes()
            shown = ""
            os.write(screen, b"\x03")
            wait_for(lambda: shows("the desk is down"), shown, 90)
            assert up.wait(10) == 0
        finally:
            up.kill()
            os.close(screen)
    for part in ("console", "listener", "worker", "prefect", "sandbox", "postgres"):
        assert f"stopping {part}" in shown, "none of them had ended by itself"
    assert alive(everything) == []
