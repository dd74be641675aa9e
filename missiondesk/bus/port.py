"""What the desk needs of a bus. One contract suite runs over everything that implements it.

A message is for those who listen when it is published: nobody else gets it, and nothing is kept. Messages of
one publisher arrive in their order; equal ones of one call may arrive as one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Protocol

from models.errors import RetryLater

LOOK_SECONDS = 0.25
"""How long a listener may take to notice that it is to stop, or to hear other channels."""

RECONNECT_SECONDS = 1.0


class BusUnreachable(RetryLater):
    """The bus does not answer. Some of the messages may have been published."""


@dataclass(frozen=True)
class Heard:
    channel: str
    text: str


@dataclass(frozen=True)
class Listening:
    """From now on these channels are heard; what was published before, or in between, is not told again."""

    channels: AbstractSet[str]


class Bus(Protocol):
    def publish(self, channel: str, texts: Sequence[str]) -> None:
        """Texts of any length. Raises RetryLater when the bus does not answer."""
        ...

    def hear(
        self, channels: Callable[[], AbstractSet[str]], stop: threading.Event
    ) -> Iterator[Heard | Listening]:
        """What is published on `channels()`, which is asked again and again; through every lost connection.

        Listening comes each time the connection was made or the channels changed. Ends when `stop` is set.
        """
        ...

    def close(self) -> None: ...
