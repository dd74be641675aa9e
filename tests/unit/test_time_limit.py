"""What takes too long is ended where it waits, and no other alarm is lost by that."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator

import pytest

from missiondesk.time_limit import TookTooLong, time_limit


class OthersAlarm(BaseException):
    pass


@pytest.fixture
def nobodys_alarm() -> Iterator[None]:
    """The test runner's own is put aside."""
    left = signal.setitimer(signal.ITIMER_REAL, 0)[0]
    handler = signal.signal(signal.SIGALRM, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, left)


@pytest.mark.usefixtures("nobodys_alarm")
def test_a_pause_is_interrupted() -> None:
    begun = time.monotonic()
    with pytest.raises(TookTooLong, match=r"it took longer than 0\.05 s"), time_limit(0.05):
        time.sleep(60)
    assert time.monotonic() - begun < 30
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL


@pytest.mark.usefixtures("nobodys_alarm")
def test_what_ends_in_time_leaves_no_alarm() -> None:
    with time_limit(60):
        assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 60
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


@pytest.mark.usefixtures("nobodys_alarm")
def test_another_alarm_comes_at_its_time() -> None:
    def ring(number: int, frame: object) -> None:
        raise OthersAlarm

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    with pytest.raises(OthersAlarm), time_limit(60):
        time.sleep(30)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    with pytest.raises(TookTooLong), time_limit(0.05):
        time.sleep(30)
    with pytest.raises(OthersAlarm):
        time.sleep(30)


def test_threads_have_no_limit() -> None:
    ended: list[bool] = []

    def work() -> None:
        with time_limit(0.001):
            ended.append(threading.Event().wait(0.05))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(30)
    assert ended == [False]
