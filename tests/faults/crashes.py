"""A process that dies at a chosen step, without dying."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class Crash(BaseException):
    """The process is gone; no handler of ours may see it."""


@dataclass
class Countdown:
    """Crashes at the given step from now, once; None never."""

    left: int | None = None

    def step(self, *_: Any) -> None:
        if self.left is None:
            return
        self.left -= 1
        if self.left < 0:
            self.left = None
            raise Crash
