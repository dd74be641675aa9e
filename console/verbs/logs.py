"""`missiondesk logs`: what all parts of the desk have said, in one stream."""

from __future__ import annotations

import time

import click

from console.desk.log_reading import LogFollower, newest_lines
from missiondesk.settings import Settings

_LOOK_SECONDS = 0.2


def show_logs(settings: Settings, lines: int, *, follow: bool) -> None:
    """The last lines of all parts together; with `follow` then those that come, until Ctrl-C."""
    folder = settings.home / "logs"
    follower = LogFollower(folder)
    try:
        found = newest_lines(folder, lines)
        for line in found:
            click.echo(line)
        if not (found or follow):
            click.echo(f"nothing has been logged in {folder} yet")
        while follow:
            time.sleep(_LOOK_SECONDS)
            for line in follower.new_lines():
                click.echo(line)
    except KeyboardInterrupt:
        return
    finally:
        follower.close()
