"""How long `missiondesk market` goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from missiondesk.feeds.feed import FeedThread
from models.quote import Quote

_LOOK_SECONDS: Final = 0.25


class Limit:
    """So many seconds, so many quotes (it is a handler of them), or for ever."""

    def __init__(self, seconds: float | None, quotes: int | None) -> None:
        self._deadline = None if seconds is None else time.monotonic() + seconds
        self._quotes = quotes

    def __call__(self, quote: Quote) -> None:
        if self._quotes is not None:
            self._quotes -= 1

    @property
    def is_reached(self) -> bool:
        late = self._deadline is not None and time.monotonic() >= self._deadline
        return late or (self._quotes is not None and self._quotes <= 0)

    def wait(self, running: FeedThread, draw: Callable[[], object] = lambda: None) -> None:
        """Until it is reached, or the feed ends by itself; draws four times a second."""
        while not self.is_reached and not running.wait(_LOOK_SECONDS):
            draw()
