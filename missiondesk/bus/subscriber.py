"""Handlers by channel: what is heard on the bus reaches those who asked for it."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from missiondesk.bus.port import Bus, Heard, Listening

log = logging.getLogger(__name__)

Message = Mapping[str, Any]
Handler = Callable[[Message], object]

_PATIENCE_SECONDS = 10.0


class Subscriber:
    """A thread that calls handlers with the JSON objects of their channels, one message after the other.

    A handler that fails is logged, and the others are called all the same.

    >>> with Subscriber(bus) as subscriber:
    ...     subscriber.register("price", print)
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._handlers: dict[str, tuple[Handler, ...]] = {}
        self._changed = threading.Condition()
        self._listening: frozenset[str] = frozenset()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bus subscriber", daemon=True)

    def register(self, channel: str, handler: Handler) -> None:
        """From the moment the channel is heard; `wait_until_heard` says when."""
        with self._changed:
            self._handlers[channel] = (*self._handlers.get(channel, ()), handler)

    def remove(self, channel: str, handler: Handler) -> None:
        """Raises LookupError when it is not registered there."""
        with self._changed:
            left = list(self._handlers.get(channel, ()))
            if handler not in left:
                raise LookupError(f"expected a handler of {channel!r}, got {handler!r}, which is none")
            left.remove(handler)
            self._handlers[channel] = tuple(left)
            if not left:
                del self._handlers[channel]

    def wait_until_heard(self, channel: str, seconds: float = _PATIENCE_SECONDS) -> bool:
        """Whether what is published on this channel from now on is heard."""
        with self._changed:
            return self._changed.wait_for(lambda: channel in self._listening, seconds)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(_PATIENCE_SECONDS)

    def _channels(self) -> frozenset[str]:
        with self._changed:
            return frozenset(self._handlers)

    def _run(self) -> None:
        for event in self._bus.hear(self._channels, self._stop):
            match event:
                case Listening(channels):
                    with self._changed:
                        self._listening = frozenset(channels)
                        self._changed.notify_all()
                case Heard(channel, text):
                    self._deliver(channel, text)

    def _deliver(self, channel: str, text: str) -> None:
        with self._changed:
            handlers = self._handlers.get(channel)
        if handlers is None:
            log.warning("nobody handles what came on channel %r: %.200s", channel, text)
            return
        try:
            message = json.loads(text)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            log.warning("expected a JSON object on channel %r, got %.200s", channel, text)
            return
        for handler in handlers:
            try:
                handler(message)
            except Exception:
                log.exception("a handler of channel %r failed on %.200s", channel, text)
