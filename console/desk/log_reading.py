"""Reads the logs of all parts as one: the last lines by time, and then those that come."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from console.desk.log_files import numbered

_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ")
_BLOCK_BYTES = 65_536


@dataclass(frozen=True, order=True)
class LogLine:
    """A line of a part. `at` is its stamp, as text; a line without one has that of the line before it."""

    at: str
    part: str = field(compare=False)
    text: str = field(compare=False)

    def __str__(self) -> str:
        return f"{self.at}  {self.part:<11} {self.text}"


def newest_lines(folder: Path, count: int) -> list[LogLine]:
    """The last lines of all logs in the folder together, the oldest first."""
    found: list[LogLine] = []
    for path in _logs(folder):
        found += _parsed(path.stem, _tail(path, count))
    return sorted(found)[-count:]  # a stable sort: lines of one instant stay in the order of their file


class LogFollower:
    """What is written into the logs of a folder from now on, into logs that are yet to come too."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._followed = {path: _Followed(path, from_end=True) for path in _logs(folder)}

    def new_lines(self) -> list[LogLine]:
        """Those since the last call, by time."""
        for path in _logs(self._folder):
            self._followed.setdefault(path, _Followed(path, from_end=False))
        found = [line for followed in self._followed.values() for line in followed.new_lines()]
        return sorted(found)

    def close(self) -> None:
        for followed in self._followed.values():
            followed.close()


class _Followed:
    """One log; when its file moves on, what is left in it comes before what is in the new one."""

    def __init__(self, path: Path, *, from_end: bool) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._begun = b""
        self._at = ""
        if from_end:
            self._file = path.open("rb")
            self._file.seek(0, os.SEEK_END)

    def new_lines(self) -> list[LogLine]:
        written = self._read()
        while self._moved_on():
            written += self._read()
            self.close()
            written += self._read()
        *ended, self._begun = (self._begun + written).split(b"\n")
        lines = _parsed(self._path.stem, [line.decode(errors="replace") for line in ended], self._at)
        if lines:
            self._at = lines[-1].at
        return lines

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _read(self) -> bytes:
        try:
            self._file = self._file or self._path.open("rb")
        except FileNotFoundError:
            return b""
        return self._file.read()

    def _moved_on(self) -> bool:
        try:
            return self._file is not None and os.fstat(self._file.fileno()).st_ino != self._path.stat().st_ino
        except FileNotFoundError:  # between two names
            return False


def _logs(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.log"))


def _parsed(part: str, lines: list[str], at: str = "") -> list[LogLine]:
    parsed = []
    for line in lines:
        if _STAMP.match(line):
            at, line = line[:24], line[25:]
        parsed.append(LogLine(at, part, line))
    return parsed


def _tail(path: Path, count: int) -> list[str]:
    """The last lines, from the older files too where the newest has too few."""
    lines: list[str] = []
    for number in itertools.count():
        try:
            lines = _last_lines_of(numbered(path, number), count - len(lines)) + lines
        except FileNotFoundError:
            return lines
        if len(lines) >= count:
            return lines
    return lines


def _last_lines_of(path: Path, count: int) -> list[str]:
    blocks: list[bytes] = []
    with path.open("rb") as file:
        for block in _blocks_from_the_end(file):
            blocks.insert(0, block)
            if sum(each.count(b"\n") for each in blocks) > count:
                break
    return [line.decode(errors="replace") for line in b"".join(blocks).split(b"\n") if line][-count:]


def _blocks_from_the_end(file: BinaryIO) -> Iterator[bytes]:
    end = file.seek(0, os.SEEK_END)
    while end > 0:
        begin = max(0, end - _BLOCK_BYTES)
        file.seek(begin)
        yield file.read(end - begin)
        end = begin
