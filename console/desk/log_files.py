"""Log files of bounded size. Each line begins with its instant; older lines move on to FILE.1, FILE.2, …"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path


class RotatingFile:
    """Appends lines. One process writes to it, any number may read.

    The file is renamed before a line would make it larger than `largest_bytes`; `kept` older ones remain.
    """

    def __init__(self, path: Path, largest_bytes: int, kept: int) -> None:
        self._path, self._largest_bytes, self._kept = path, largest_bytes, kept
        self._file: int | None = None
        self._size = 0

    def write(self, lines: bytes) -> None:
        """Raises OSError, when the disk is full say; a part of the lines may be written then."""
        while lines:
            if self._file is None:
                self._open()
            fitting = self._fitting(lines)
            if fitting:
                lines = lines[self._append(lines[:fitting]) :]
            else:
                self._rotate()

    def _fitting(self, lines: bytes) -> int:
        """How many bytes of whole lines there is room for; in an empty file there is for one at least."""
        room = self._largest_bytes - self._size
        if len(lines) <= room:
            return len(lines)
        whole = lines.rfind(b"\n", 0, max(0, room)) + 1
        return whole if whole or self._size else lines.find(b"\n") + 1 or len(lines)

    def _append(self, lines: bytes) -> int:
        assert self._file is not None
        written = os.write(self._file, lines)
        self._size += written
        return written

    def _open(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._size = os.fstat(self._file).st_size

    def _rotate(self) -> None:
        for number in range(self._kept - 1, -1, -1):
            if (present := numbered(self._path, number)).exists():
                present.replace(numbered(self._path, number + 1))
        assert self._file is not None
        os.close(self._file)
        self._file = None


def numbered(path: Path, number: int) -> Path:
    """The file to which `path` has moved on after so many rotations."""
    return path.with_name(f"{path.name}.{number}") if number else path


def stamped(text: str, now: datetime) -> bytes:
    """Each of its lines with the instant in front, as `2026-01-31T23:59:59.123Z `, and ended."""
    return b"".join(stamp(now) + line.encode(errors="replace") + b"\n" for line in text.splitlines())


def stamp(now: datetime) -> bytes:
    """24 characters and a space; they sort as the instants do."""
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.").encode() + b"%03dZ " % (now.microsecond // 1000)


def last_lines(path: Path, lines: int = 15) -> str:
    """The end of the file, or "" where there is none."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 200 * lines))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
