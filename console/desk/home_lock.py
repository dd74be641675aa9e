"""One desk at a time in a home."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from missiondesk.desk_file import read_desk_file
from models.errors import InputRefused


@contextmanager
def home_for_one_desk(home: Path) -> Iterator[None]:
    """Makes the home if need be. Raises InputRefused while another desk runs in it; a dead one is none."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (home / "desk.lock").open("a")
    except OSError as error:
        raise InputRefused(
            f"the desk can't keep its files in {home}: {error.strerror}; choose another --home"
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputRefused(_who_has(home)) from None
        yield


def _who_has(home: Path) -> str:
    desk = read_desk_file(home)
    which = f" (pid {desk.desk.pid}, since {desk.started_at:%Y-%m-%d %H:%M} UTC)" if desk is not None else ""
    return f"a desk already runs in {home}{which}: look at `missiondesk status`, or choose another --home"
