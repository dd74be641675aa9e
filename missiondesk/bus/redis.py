"""The bus over a Redis server, for desks that have one: its publish and subscribe."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final

import redis

from missiondesk.bus.port import (
    LOOK_SECONDS,
    RECONNECT_SECONDS,
    BusUnreachable,
    Heard,
    Listening,
)
from missiondesk.store.administration import without_password

log = logging.getLogger(__name__)

_LOOK_AFTER_SECONDS: Final = 15


class RedisBus:
    """See the port. `url` is `redis://…`, `rediss://…` or `unix://…`."""

    def __init__(self, url: str) -> None:
        self._url = url
        # Half of its methods have no types.
        self._client: Any = redis.Redis.from_url(
            url,
            decode_responses=True,
            encoding_errors="replace",  # foreign bytes then are no JSON, and are passed over as such
            socket_connect_timeout=10,
            health_check_interval=_LOOK_AFTER_SECONDS,
            **_watched(url),
        )

    def publish(self, channel: str, texts: Sequence[str]) -> None:
        try:
            with self._client.pipeline(transaction=False) as pipeline:
                for text in texts:
                    pipeline.publish(channel, text)
                pipeline.execute()
        except redis.RedisError as error:
            raise BusUnreachable(f"the bus {without_password(self._url)} does not answer: {error}") from None

    def hear(
        self, channels: Callable[[], AbstractSet[str]], stop: threading.Event
    ) -> Iterator[Heard | Listening]:
        while not stop.is_set():
            try:
                with self._client.pubsub(ignore_subscribe_messages=True) as subscription:
                    yield from _heard(subscription, channels, stop)
            except redis.RedisError as error:
                log.warning("not listening on %s, trying again: %s", without_password(self._url), error)
                stop.wait(RECONNECT_SECONDS)

    def close(self) -> None:
        self._client.close()


def _heard(
    subscription: Any, channels: Callable[[], AbstractSet[str]], stop: threading.Event
) -> Iterator[Heard | Listening]:
    heard: AbstractSet[str] = frozenset()
    while not stop.is_set():
        wanted = frozenset(channels())
        if wanted != heard:
            if wanted - heard:
                subscription.subscribe(*sorted(wanted - heard))
            if heard - wanted:
                subscription.unsubscribe(*sorted(heard - wanted))
            heard = wanted
            yield Listening(heard)
        if not subscription.subscribed:
            stop.wait(LOOK_SECONDS)
            continue
        message = subscription.get_message(timeout=LOOK_SECONDS)
        if message is not None:
            yield Heard(message["channel"], message["data"])


def _watched(url: str) -> dict[str, Any]:
    """Has the system end a connection whose other end is gone without a word: a listener would not notice."""
    if url.startswith("unix:"):
        return {}
    wanted = {
        "TCP_KEEPIDLE": _LOOK_AFTER_SECONDS,
        "TCP_KEEPINTVL": 5,
        "TCP_KEEPCNT": 3,
        # Health checks are unanswered data, for which keep-alive does not count.
        "TCP_USER_TIMEOUT": 1000 * _LOOK_AFTER_SECONDS,
    }
    known = {getattr(socket, name): value for name, value in wanted.items() if hasattr(socket, name)}
    return {"socket_keepalive": True, "socket_keepalive_options": known}
