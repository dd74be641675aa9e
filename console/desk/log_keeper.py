"""`python -m console.desk.log_keeper FOLDER LARGEST_BYTES KEPT PART…` writes what parts say into their logs.

A process of its own, so that parts can speak while the desk's own process is gone. SIGTERM ends it once
everything said so far is written. It must never stop reading, whatever happens to its files: the parts would
stand still.
"""

from __future__ import annotations

import os
import selectors
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from console.desk.log_files import RotatingFile, stamp
from console.desk.log_pipes import open_pipe, while_writing

_READ_BYTES = 65_536
_LONGEST_LINE_BYTES = 65_536


class KeptLog:
    """What comes through one part's pipe goes, line by line, into its file."""

    def __init__(self, path: Path, largest_bytes: int, kept: int) -> None:
        self.pipe = open_pipe(path)
        self._file = RotatingFile(path, largest_bytes, kept)
        self._begun = b""
        self._lost = 0

    def keep(self) -> bool:
        """Move on what there is, at most one read of it; False when there was nothing."""
        try:
            said = os.read(self.pipe, _READ_BYTES)
        except BlockingIOError:
            return False
        *lines, self._begun = (self._begun + said).split(b"\n")
        if len(self._begun) > _LONGEST_LINE_BYTES:
            lines, self._begun = [*lines, self._begun], b""
        self._write(lines)
        return bool(said)

    def finish(self) -> None:
        """What is there now is the end of it, a line that has no end included."""
        while self.keep():
            pass
        if self._begun:
            self._write([self._begun])

    def _write(self, lines: Sequence[bytes]) -> None:
        mark = stamp(datetime.now(UTC))
        if self._lost:
            lines = [b"%d line(s) could not be written here" % self._lost, *lines]
        try:
            self._file.write(b"".join(mark + line + b"\n" for line in lines))
        except OSError:
            self._lost += len(lines) - bool(self._lost)
        else:
            self._lost = 0


def keep_logs(folder: Path, logs: Sequence[KeptLog]) -> None:
    """Until SIGTERM. A Ctrl-C is not meant for it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda _number, _frame: None)
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    with selectors.DefaultSelector() as selector:
        selector.register(woken, selectors.EVENT_READ)
        for log in logs:
            selector.register(log.pipe, selectors.EVENT_READ, log)
        while True:
            ready = [key.data for key, _ in selector.select()]
            with while_writing(folder):
                for log in ready:
                    if log is not None:
                        log.keep()
            if None in ready:
                break
    with while_writing(folder):
        for log in logs:
            log.finish()


def main() -> None:
    folder, largest_bytes, kept, *parts = sys.argv[1:]
    logs = [KeptLog(Path(folder, f"{part}.log"), int(largest_bytes), int(kept)) for part in parts]
    keep_logs(Path(folder), logs)


if __name__ == "__main__":
    main()
