"""Carries notifications from their rows to the channels, apart from everything that writes them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextvars import copy_context

from sqlalchemy.exc import SQLAlchemyError

from missiondesk.notifications.channel import Channel, NotSent
from missiondesk.notifications.message import Message
from missiondesk.store.notifications import Batch, Notifications
from models.errors import MissiondeskError

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
# Well within the lease of a delivery, so that no other process sends what this one still tries to.
SEND_SECONDS = 25.0
# A channel that failed is left alone for so long, for the sake of the others.
REST_SECONDS = 30.0


class Deliverer:
    """`channel_named` opens a channel or raises a MissiondeskError; `default` names the desk's own channels.

    Any number may work on one database. A message that a process was handing over when it died is sent again.
    """

    def __init__(
        self,
        notifications: Notifications,
        channel_named: Callable[[str], Channel],
        default: Sequence[str],
        *,
        send_seconds: float = SEND_SECONDS,
        rest_seconds: float = REST_SECONDS,
    ) -> None:
        self._notifications, self._channel_named, self._default = notifications, channel_named, default
        self._send_seconds, self._rest_seconds = send_seconds, rest_seconds
        self._resting_until: dict[str, float] = {}
        self._problems: dict[str, str] = {}

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set."""
        while not stop.is_set():
            try:
                self.deliver(stop)
            except (MissiondeskError, SQLAlchemyError) as error:
                log.warning("no notifications are delivered: %s", error)
            stop.wait(LOOK_SECONDS)

    def deliver(self, stop: threading.Event) -> None:
        """All that is due now."""
        self._notifications.route(self._default)
        while not stop.is_set():
            now = time.monotonic()
            resting = [channel for channel, until in self._resting_until.items() if until > now]
            batch = self._notifications.take(resting)
            if batch is None:
                return
            self._send(batch)

    def _send(self, batch: Batch) -> None:
        message = Message(batch.notifications)
        try:
            _within(self._send_seconds, lambda: self._channel_named(batch.channel).send(message))
        except Exception as error:  # whatever a channel raises must cost nobody else anything
            problem = str(error) if isinstance(error, MissiondeskError) else type(error).__name__
            self._resting_until[batch.channel] = time.monotonic() + self._rest_seconds
            self._notifications.failed(batch, problem)
            self._say(batch.channel, problem)
        else:
            self._notifications.sent(batch)
            if self._problems.pop(batch.channel, None) is not None:
                log.info("channel %r takes notifications again", batch.channel)

    def _say(self, channel: str, problem: str) -> None:
        if self._problems.get(channel) != problem:
            log.error("channel %r takes no notifications, they wait: %s", channel, problem)
        self._problems[channel] = problem


def _within(seconds: float, call: Callable[[], None]) -> None:
    """Raises NotSent for a call that takes longer; it is left to itself then."""
    done: Future[None] = Future()

    def run() -> None:
        try:
            call()
            done.set_result(None)
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=copy_context().run, args=(run,), name="channel", daemon=True).start()
    try:
        done.result(seconds)
    except TimeoutError:
        raise NotSent(f"no answer within {seconds:g} s") from None
