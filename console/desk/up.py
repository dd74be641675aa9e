"""`missiondesk up`: a whole desk in one terminal, until Ctrl-C."""

from __future__ import annotations

import time

from console.desk.desk import Desk, DeskPlan
from console.desk.home_lock import home_for_one_desk
from console.desk.log_files import rotate
from console.desk.screen import Screen
from console.desk.supervisor import StopRequest, StopRequested
from missiondesk.desk_file import remove_desk_file
from missiondesk.settings import Settings
from missiondesk.store.database import connect

_LOOK_SECONDS = 0.5
_ROTATE_SECONDS = 60.0


def up(plan: DeskPlan) -> None:
    """Returns when the desk was asked to stop and has. Raises MissiondeskError when it could not come up."""
    settings = plan.settings
    stop, screen = StopRequest(), Screen()
    with home_for_one_desk(settings.home), stop.by_signals():
        desk = Desk(plan, screen.say, stop)
        try:
            desk.come_up()
            screen.say(f"the desk is up, and {desk.prefect_ui_url} shows it; Ctrl-C stops it")
            screen.watch_missions(connect(settings.database_url.get_secret_value()))
            _watch(desk, settings, screen, stop)
        except StopRequested:
            pass
        finally:
            screen.end()
            desk.go_down()
            remove_desk_file(settings.home)
        screen.say("the desk is down")


def _watch(desk: Desk, settings: Settings, screen: Screen, stop: StopRequest) -> None:
    rotated_at = time.monotonic()
    while not stop:
        desk.revive()
        screen.refresh()
        if time.monotonic() > rotated_at + _ROTATE_SECONDS:
            rotated_at = time.monotonic()
            for log in (settings.home / "logs").glob("*.log"):
                rotate(log)
        stop.wait(_LOOK_SECONDS)
