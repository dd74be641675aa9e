"""Finds a desk's processes by two marks in their environment, which their own children inherit; ends them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import psutil

_HOME = "MISSIONDESK_HOME"
_PART = "MISSIONDESK_PART"


def marks(home: Path, part: str) -> Mapping[str, str]:
    """The environment variables by which the processes of that part are found again."""
    return {_HOME: str(home), _PART: part}


def marked_processes(home: Path, part: str | None = None) -> list[psutil.Process]:
    """The living processes of the desk in `home` or of one part of it, oldest first; never PostgreSQL's."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            environment = process.environ()
            its_part = environment.get(_PART)
            ours = environment.get(_HOME) == str(home) and its_part is not None
            if ours and part in (None, its_part) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return sorted(found, key=psutil.Process.create_time)


def end(processes: Iterable[psutil.Process], patience_seconds: float) -> None:
    """Ask them to end, and kill those that have not after `patience_seconds`."""
    asked = list(processes)
    for process in asked:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _, stubborn = psutil.wait_procs(asked, timeout=patience_seconds)
    for process in stubborn:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(stubborn, timeout=5)
