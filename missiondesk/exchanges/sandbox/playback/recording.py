"""Recorded frames by topic, with their distances in time."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Frame:
    """What the venue sent, `after` so many seconds since the first frame of its recording."""

    after: float
    text: str

    @property
    def content(self) -> Any:
        return json.loads(self.text)


Tape = Sequence[Frame]


def tapes(files: Iterable[Path], topic_of: Callable[[Any], str | None]) -> Mapping[str, Tape]:
    """What came in, by topic, from files of one JSON object a line.

    Each has `recv` (unix seconds or null), `dir` (`in` or `out`) and `raw`, the frame as text.

    Frames whose topic is None are left out. Raises OSError and ValueError for unreadable files.
    """
    found: dict[str, list[Frame]] = defaultdict(list)
    for path in files:
        began: float | None = None
        for line in _lines(path):
            entry = json.loads(line)
            topic = topic_of(json.loads(entry["raw"])) if entry["dir"] == "in" else None
            if topic is None:
                continue
            received = entry["recv"] or 0.0
            began = received if began is None else began
            found[topic].append(Frame(received - began, entry["raw"]))
    return dict(found)


def _lines(path: Path) -> list[str]:
    if path.suffix == ".gz":
        with gzip.open(path, "rt") as file:
            return file.read().splitlines()
    return path.read_text().splitlines()
