"""`missiondesk up`: a whole desk in one process tree, until Ctrl-C."""

from __future__ import annotations

from console.desk.desk import Desk
from console.desk.home_lock import home_for_one_desk
from console.desk.log_files import RotatingFile
from console.desk.options import DeskOptions
from console.desk.screen import Screen
from console.desk.supervisor import StopRequest, StopRequested
from missiondesk.components.settings import HubSettings
from missiondesk.desk_file import remove_desk_file
from missiondesk.refresh.settings import RefreshSettings
from missiondesk.settings import Settings
from missiondesk.store.database import connect

_LOOK_SECONDS = 0.5


def up(settings: Settings, options: DeskOptions, *, quiet: bool = False) -> None:
    """Returns when the desk was asked to stop and has. Raises MissiondeskError when it could not come up.

    `quiet`: it speaks to its log alone.
    """
    HubSettings.load()
    RefreshSettings.load(settings.home)
    log = RotatingFile(settings.home / "logs" / "desk.log", settings.log_bytes, settings.log_files)
    stop, screen = StopRequest(), Screen(log, quiet=quiet)
    with home_for_one_desk(settings.home), stop.by_signals():
        desk = Desk(settings, options, screen.say, stop)
        try:
            desk.come_up()
            ways_to_stop = "`missiondesk stop`" if quiet else "Ctrl-C"
            screen.say(f"the desk is up, and {desk.prefect_ui_url} shows it; {ways_to_stop} stops it")
            desk.note_that_it_is_up()
            screen.watch_missions(connect(settings.database_url.get_secret_value()))
            while not stop:
                desk.revive()
                screen.refresh()
                stop.wait(_LOOK_SECONDS)
        except StopRequested:
            pass
        finally:
            screen.end()
            desk.go_down()
            remove_desk_file(settings.home)
        screen.say("the desk is down")
