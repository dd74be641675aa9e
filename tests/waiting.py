"""Waiting for what happens elsewhere, instead of sleeping for as long as it takes at most."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

PATIENCE_SECONDS = 60.0


def wait_for(
    condition: Callable[[], Found], what: str = "it to come true", seconds: float = PATIENCE_SECONDS
) -> Found:
    """The first true answer of `condition`; fails when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain for {what}, last answer: {found!r}"
        time.sleep(0.02)
    return found
