"""The port that every channel implements, and the channel that every desk has."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Protocol

from missiondesk.notifications.message import Message
from models.errors import RetryLater

log = logging.getLogger(__name__)

_SHORTEST_SECRET = 4


class NotSent(RetryLater):
    """A channel did not take a message, or not for certain; the text holds no secret."""


class Channel(Protocol):
    """A way to reach people."""

    def send(self, message: Message) -> None:
        """Blocks until the message is taken. Raises NotSent."""


class LogChannel:
    """Writes to the log of the process that delivers: the console's."""

    def send(self, message: Message) -> None:
        for each in message.notifications:
            level = logging.INFO if each.kind.is_good else logging.ERROR
            account = f"[{each.account}] " if each.account else ""
            log.log(level, "%s%s: %s", account, each.subject, "; ".join(each.body.splitlines()))


def without(secrets: Iterable[str], text: str) -> str:
    """`text` as it may be shown, every one of `secrets` in it replaced by ***."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "***")
    return text
