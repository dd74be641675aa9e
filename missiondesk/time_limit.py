"""A limit to how long something may take, which interrupts it wherever it waits."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from models.errors import MissiondeskError


class TookTooLong(MissiondeskError):
    """What had a time limit was ended in the middle."""


class _Alarm(BaseException):
    """Not to be taken for an error by what it interrupts."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raises TookTooLong when what is inside has not ended by then; only in the main thread.

    Prefect's own limit sends no signal inside of another one, so a request or a pause would go on to its end.
    An alarm that somebody else has set is left alone if it comes first, and goes on afterwards if not.
    """
    others_left, _ = signal.getitimer(signal.ITIMER_REAL)
    if threading.current_thread() is not threading.main_thread() or 0 < others_left <= seconds:
        yield
        return
    begun = time.monotonic()
    others = signal.signal(signal.SIGALRM, _ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except _Alarm:
        raise TookTooLong(f"it took longer than {seconds:g} s") from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, others)
        if others_left:
            signal.setitimer(signal.ITIMER_REAL, max(others_left - (time.monotonic() - begun), 0.001))


def _ring(number: int, frame: object) -> None:
    raise _Alarm
