"""The named pipes between the parts of a desk and the log keeper, which writes what comes through them.

Parts hold the writing end. Keepers may come and go, and so may the desk's own process, as long as one of the
two is there to hold the other end: then no write fails, and what was written waits in the pipe.
"""

from __future__ import annotations

import array
import fcntl
import os
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from console.desk.log_files import last_lines

_SETTLE_SECONDS = 2.0
_LOOK_SECONDS = 0.02


def open_pipe(log: Path) -> int:
    """Both ends of the pipe that leads to this log, which is made if need be; reads of it don't block."""
    path = pipe_path(log)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.mkfifo(path, 0o600)
    return os.open(path, os.O_RDWR | os.O_NONBLOCK)


def pipe_path(log: Path) -> Path:
    return log.parent / "pipes" / log.stem


@contextmanager
def while_writing(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Held by the keeper of that folder's logs while it has read what it has not written yet.

    Raises BlockingIOError when it is not to be waited for.
    """
    with (folder / "pipes" / "writing.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield


class PipedLog:
    """A part's log, which it reaches through its pipe. The pipe is held open until `close`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pipe = open_pipe(path)

    def close(self) -> None:
        os.close(self._pipe)

    @property
    def output(self) -> Path:
        """What the part opens to speak."""
        return pipe_path(self._path)

    def last_words(self) -> str:
        self._settle()
        return last_lines(self._path)

    def _settle(self) -> None:
        """Wait for the keeper to write what was said, if there is a keeper."""
        deadline = time.monotonic() + _SETTLE_SECONDS
        while time.monotonic() < deadline:
            with suppress(BlockingIOError), while_writing(self._path.parent, wait=False):
                if not self._unread_bytes():
                    return
            time.sleep(_LOOK_SECONDS)

    def _unread_bytes(self) -> int:
        count = array.array("i", [0])
        fcntl.ioctl(self._pipe, termios.FIONREAD, count)
        return count[0]
