"""Brings parts up in order, starts again what dies, and takes everything down in reverse."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from console.desk.parts import Part, ProcessPart
from models.errors import CallOperator, MissiondeskError

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
# A part that stayed up this long begins again with the first pause when it dies.
PROVEN_SECONDS = 60.0
# From SIGTERM until a part that still runs is killed, unless it is given longer.
DRAIN_SECONDS = 10.0
_POLL_SECONDS = 0.1

Say = Callable[[str], None]


class StopRequested(Exception):
    """Someone pressed Ctrl-C or sent SIGTERM while the desk was coming up."""


class StopRequest:
    """Remembers that the desk is to stop; waits end at once then."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def __bool__(self) -> bool:
        return self._event.is_set()

    def make(self) -> None:
        self._event.set()

    def wait(self, seconds: float) -> None:
        self._event.wait(seconds)

    def raise_if_made(self) -> None:
        if self:
            raise StopRequested

    @contextmanager
    def by_signals(self) -> Iterator[None]:
        """SIGINT, SIGTERM and SIGHUP make the request; made again, they raise KeyboardInterrupt."""

        def heed(_number: int, _frame: FrameType | None) -> None:
            if self:
                raise KeyboardInterrupt
            self.make()

        heeded = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, heed) for number in heeded}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@dataclass
class _Watched:
    part: Part
    drain_seconds: float
    launched_at: float
    pause: float = FIRST_PAUSE_SECONDS
    retry_at: float | None = None


class Supervisor:
    """`changed` is called whenever a part has got a new process."""

    def __init__(
        self, stop: StopRequest, say: Say, changed: Callable[[], None], clock: Callable[[], float]
    ) -> None:
        self._stop = stop
        self._say = say
        self._changed = changed
        self._clock = clock
        self._watched: list[_Watched] = []
        self._coming: list[_Watched] = []

    @property
    def parts(self) -> list[Part]:
        return [watched.part for watched in self._watched]

    def bring_up(self, part: Part, ready_seconds: float, drain_seconds: float = DRAIN_SECONDS) -> None:
        """Launch it and wait until it is ready; raises CallOperator with the end of its log if it fails."""
        self.launch(part, drain_seconds)
        self.wait_until_ready(ready_seconds)

    def launch(self, part: Part, drain_seconds: float = DRAIN_SECONDS) -> None:
        """Let it come up beside others; `wait_until_ready` follows."""
        self._stop.raise_if_made()
        launched = _Watched(part, drain_seconds, self._clock())
        self._watched.append(launched)
        self._coming.append(launched)
        part.launch()
        self._changed()

    def wait_until_ready(self, seconds: float) -> None:
        """Until all that was launched is; raises CallOperator with the end of the log of what fails."""
        while self._coming:
            self._coming = [watched for watched in self._coming if not self._is_ready(watched, seconds)]
            if self._coming:
                self._stop.wait(_POLL_SECONDS)
                self._stop.raise_if_made()

    def _is_ready(self, watched: _Watched, seconds: float) -> bool:
        part, took = watched.part, self._clock() - watched.launched_at
        if part.is_ready():
            self._say(f"{part.name} is ready after {took:.1f} s")
            return True
        if part.process() is None:
            raise CallOperator(f"{part.name} ended while it started; its log ends with:\n{part.last_words()}")
        if took > seconds:
            raise CallOperator(
                f"{part.name} was not ready after {seconds:.0f} s; its log ends with:\n{part.last_words()}"
            )
        return False

    def run_through(self, step: ProcessPart, seconds: float) -> None:
        """Launch a part that ends by itself, and wait for that; raises CallOperator when it fails."""
        self._stop.raise_if_made()
        began = self._clock()
        step.launch()
        try:
            while step.process() is not None:
                if self._clock() > began + seconds:
                    raise CallOperator(f"{step.name} was not done after {seconds:.0f} s\n{step.last_words()}")
                self._stop.wait(_POLL_SECONDS)
                self._stop.raise_if_made()
        finally:
            step.stop(5.0)
        if step.exit_code() != 0:
            raise CallOperator(f"{step.name} failed; its log ends with:\n{step.last_words()}")
        self._say(f"{step.name} is done after {self._clock() - began:.1f} s")

    def revive(self) -> None:
        """Start again every part that has died, later each time it dies young."""
        for watched in self._watched:
            if watched.part.process() is None:
                self._revive(watched)

    def take_down(self) -> None:
        """Stop what was brought up, the last first; a second Ctrl-C takes away the patience."""
        hurry = False
        for watched in reversed(self._watched):
            if watched.part.process() is not None:
                self._say(f"stopping {watched.part.name}")
            try:
                watched.part.stop(0.0 if hurry else watched.drain_seconds)
            except KeyboardInterrupt:
                hurry = True
                watched.part.stop(0.0)
        self._watched.clear()

    def _revive(self, watched: _Watched) -> None:
        now = self._clock()
        name = watched.part.name
        if watched.retry_at is None:
            if now > watched.launched_at + PROVEN_SECONDS:
                watched.pause = FIRST_PAUSE_SECONDS
            watched.retry_at = now + watched.pause
            self._say(
                f"{name} has ended; starting it again in {watched.pause:.0f} s (its log: logs/{name}.log)"
            )
        if now < watched.retry_at:
            return
        watched.retry_at, watched.launched_at = None, now
        watched.pause = min(2 * watched.pause, LONGEST_PAUSE_SECONDS)
        try:
            watched.part.launch()
        except (MissiondeskError, OSError) as error:
            self._say(f"{name} did not start: {error}")
        else:
            self._say(f"{name} is started again")
            self._changed()
