"""The bus that every desk has: LISTEN and NOTIFY of its Postgres."""

from __future__ import annotations

import logging
import selectors
import threading
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812
from sqlalchemy import text

from missiondesk.bus.parts import Assembly, parts_of
from missiondesk.bus.port import LOOK_SECONDS, RECONNECT_SECONDS, Heard, Listening
from missiondesk.store.administration import without_password
from missiondesk.store.database import connect

log = logging.getLogger(__name__)

_NOTIFY = text("SELECT pg_notify(:channel, payload) FROM unnest(CAST(:payloads AS text[])) AS payload")


class PostgresBus:
    """See the port. A channel is one of NOTIFY's: `LISTEN price` in psql hears it too."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._engine = connect(url)

    def publish(self, channel: str, texts: Sequence[str]) -> None:
        payloads = [part for message in texts for part in parts_of(message)]
        if payloads:
            with self._engine.connect() as connection:
                connection.execute(_NOTIFY, {"channel": channel, "payloads": payloads})

    def hear(
        self, channels: Callable[[], AbstractSet[str]], stop: threading.Event
    ) -> Iterator[Heard | Listening]:
        while not stop.is_set():
            try:
                connection = psycopg2.connect(
                    self._url, connect_timeout=10, keepalives_idle=30, keepalives_interval=10
                )
                try:
                    connection.autocommit = True
                    yield from _heard(connection, channels, stop)
                finally:
                    connection.close()
            except psycopg2.Error as error:
                log.warning("not listening on %s, trying again: %s", without_password(self._url), error)
                stop.wait(RECONNECT_SECONDS)

    def close(self) -> None:
        self._engine.dispose()


def _heard(
    connection: Connection, channels: Callable[[], AbstractSet[str]], stop: threading.Event
) -> Iterator[Heard | Listening]:
    assembly = Assembly()
    heard: AbstractSet[str] = frozenset()
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_READ)
        while not stop.is_set():
            wanted = frozenset(channels())
            if wanted != heard:
                _listen(connection, wanted - heard, "LISTEN {}")
                _listen(connection, heard - wanted, "UNLISTEN {}")
                heard = wanted
                yield Listening(heard)
            if not connection.notifies and selector.select(LOOK_SECONDS):
                connection.poll()
            while connection.notifies:
                notified = connection.notifies.pop(0)
                whole = assembly.whole(notified.pid, notified.payload)
                if whole is not None:
                    yield Heard(notified.channel, whole)


def _listen(connection: Connection, channels: AbstractSet[str], verb: str) -> None:
    with connection.cursor() as cursor:
        for channel in sorted(channels):
            cursor.execute(sql.SQL(verb).format(sql.Identifier(channel)))
