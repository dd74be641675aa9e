"""The log files of a desk's processes, kept from growing without end."""

from __future__ import annotations

import shutil
from pathlib import Path

LARGEST_BYTES = 10_000_000
KEPT = 3


def rotate(path: Path) -> None:
    """Keep the older lines in `path`.1 … .3 once the file is large.

    The file itself is emptied in place, for its process goes on appending to it.
    """
    if not path.exists() or path.stat().st_size < LARGEST_BYTES:
        return
    for number in range(KEPT - 1, 0, -1):
        older = path.with_name(f"{path.name}.{number}")
        if older.exists():
            older.replace(path.with_name(f"{path.name}.{number + 1}"))
    shutil.copyfile(path, path.with_name(f"{path.name}.1"))
    with path.open("r+b") as file:
        file.truncate()


def last_lines(path: Path, lines: int = 15) -> str:
    """The end of the file, or "" where there is none."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 200 * lines))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
