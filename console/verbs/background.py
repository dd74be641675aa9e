"""A desk in the background: start it, stop it, start it again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
import psutil

from console.desk.home_lock import home_for_one_desk
from console.desk.leftovers import end_earlier_desk
from console.desk.log_reading import LogFollower
from console.desk.processes import marked_processes
from missiondesk.desk_file import DeskFile, read_desk_file, remove_desk_file, running_desk
from missiondesk.settings import Settings
from missiondesk.store.embedded import EmbeddedPostgres
from models.errors import CallOperator, InputRefused

_LOOK_SECONDS = 0.1


def start_desk(settings: Settings, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Return when the desk is up. Raises InputRefused when one runs, CallOperator when it does not come up.

    `arguments` are the options of `missiondesk up`. A Ctrl-C meanwhile ends what has been started.
    """
    home = settings.home
    with home_for_one_desk(home):
        (home / "logs").mkdir(mode=0o700, exist_ok=True)
    last_words = home / "logs" / "start.out"
    with _telling_what_the_desk_says(home) as tell:
        with last_words.open("wb") as output:
            desk = subprocess.Popen(
                [sys.executable, "-m", "console", "up", "--quiet", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=home,
                env=environment,
                start_new_session=True,
            )
        try:
            while not _is_up(home, desk.pid):
                if desk.poll() is not None:
                    tell()
                    said = last_words.read_text(errors="replace").strip().removeprefix("missiondesk: ")
                    raise CallOperator(said or f"the desk ended while it came up; look at {home}/logs")
                tell()
                time.sleep(_LOOK_SECONDS)
        except KeyboardInterrupt:
            desk.terminate()
            desk.wait()
            raise


def stop_desk(settings: Settings, seconds: float) -> None:
    """End the desk that runs, like Ctrl-C, or what a killed one left behind.

    Raises InputRefused when there is neither, CallOperator when it has not ended after so many seconds.
    """
    home = settings.home
    desk = running_desk(home)
    process = None if desk is None else desk.desk.process()
    if process is None:
        _end_leftovers(settings)
        return
    with _telling_what_the_desk_says(home) as tell:
        process.terminate()
        deadline = time.monotonic() + seconds
        while _lives(process):
            if time.monotonic() > deadline:
                raise CallOperator(
                    f"the desk (pid {process.pid}) has not ended after {seconds:.0f} s; "
                    f"still running: {_still_running(home)}. It goes on stopping; a second "
                    "`missiondesk stop` ends its parts at once"
                )
            tell()
            time.sleep(_LOOK_SECONDS)


def restart_desk(settings: Settings, seconds: float) -> None:
    """Stop the desk and start it in the background with the options and the environment that it had.

    Our own variables that are set now override those it had. Raises as `stop_desk` and `start_desk` do.
    """
    desk = read_desk_file(settings.home)
    if desk is None:
        raise InputRefused(f"no desk runs in {settings.home}: start one with `missiondesk start`")
    environment = _environment_of(desk)
    if desk.is_running():
        stop_desk(settings, seconds)
    start_desk(settings, desk.options, {**environment, "MISSIONDESK_HOME": str(settings.home)})


def _environment_of(desk: DeskFile) -> dict[str, str]:
    process = desk.desk.process()
    ours = {
        name: value
        for name, value in os.environ.items()
        if name.startswith("MISSIONDESK_") or name == "LOG_LEVEL"
    }
    return {**(os.environ if process is None else process.environ()), **ours}


def _end_leftovers(settings: Settings) -> None:
    home = settings.home
    with home_for_one_desk(home):
        server = EmbeddedPostgres(home).process() if settings.embedded else None
        if server is None and not marked_processes(home):
            raise InputRefused(f"no desk runs in {home}")
        end_earlier_desk(home, click.echo)
        remove_desk_file(home)


def _is_up(home: Path, pid: int) -> bool:
    desk = running_desk(home)
    return desk is not None and desk.desk.pid == pid and desk.is_up


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _still_running(home: Path) -> str:
    desk = read_desk_file(home)
    parts = {} if desk is None else desk.parts
    living = [f"{name} {part.pid}" for name, part in parts.items() if part.process() is not None]
    return ", ".join(living) or "none of its parts"


@contextmanager
def _telling_what_the_desk_says(home: Path) -> Iterator[Callable[[], None]]:
    """The lines that come into its log, shown whenever this is called, and those left at the end."""
    follower = LogFollower(home / "logs")

    def tell() -> None:
        for line in follower.new_lines():
            if line.part == "desk":
                click.echo(line.text)

    try:
        yield tell
    finally:
        tell()
        follower.close()
