"""Tells people what happened, once: task passed, Missionary finished, trade done, error."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from missiondesk.store.notifications import SentNotifications

log = logging.getLogger(__name__)


class EventKind(StrEnum):
    TASK_PASSED = "task passed"
    TRADE_DONE = "trade done"
    MISSIONARY_FINISHED = "missionary finished"
    ERROR = "error"


@dataclass(frozen=True)
class Event:
    """Something to tell. Events of the same `key` are the same event, told once."""

    kind: EventKind
    account: str
    mission: str
    message: str
    key: str

    def __str__(self) -> str:
        return f"{self.mission}: {self.kind}: {self.message}"


class Channel(Protocol):
    """A way to reach people. It may raise; that costs this event on this channel, and nothing else."""

    def send(self, event: Event) -> None: ...


class LogChannel:
    """Writes events to the log, where every desk has them."""

    def send(self, event: Event) -> None:
        level = logging.ERROR if event.kind is EventKind.ERROR else logging.INFO
        log.log(level, "[%s] %s", event.account, event)


class Notifier:
    """Sends each event once to every channel of its account, whichever process tells it first."""

    def __init__(self, sent: SentNotifications, channels_of: Callable[[str], Sequence[Channel]]) -> None:
        self._sent, self._channels_of = sent, channels_of

    def tell(self, events: Iterable[Event]) -> None:
        """Never raises: what can't be told is logged."""
        by_key = {event.key: event for event in events}
        if not by_key:
            return
        try:
            new = self._sent.claim(by_key)
        except Exception:
            log.exception("notifications not told: %s", ", ".join(by_key))
            return
        for key in new:
            event = by_key[key]
            for channel in self._channels_of(event.account):
                try:
                    channel.send(event)
                except Exception:
                    log.exception("%s did not take: %s", type(channel).__name__, event)
