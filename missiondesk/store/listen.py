"""Notifications of Postgres, heard for as long as one likes, through every loss of the connection."""

from __future__ import annotations

import logging
import selectors
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812

from missiondesk.store.administration import without_password

log = logging.getLogger(__name__)

_RECONNECT_SECONDS = 1.0
_LOOK_FOR_STOP_SECONDS = 0.25


@dataclass(frozen=True)
class Connected:
    """Heard from now on. What was announced before, or while the connection was lost, is not told again."""


@dataclass(frozen=True)
class Payload:
    """What a notification brought."""

    text: str


def listen(
    url: str, channel: str, *, patience: Callable[[], float], stop: threading.Event
) -> Iterator[Connected | Payload | None]:
    """What is announced on `channel`, and Connected after each time the connection had to be made.

    None comes whenever nothing has come for `patience()` seconds, and while the database does not answer.
    Ends when `stop` is set.
    """
    while not stop.is_set():
        try:
            with _listening(url, channel) as connection:
                yield Connected()
                yield from _hear(connection, patience, stop)
        except psycopg2.Error as error:
            log.warning("not listening on %s, trying again: %s", without_password(url), str(error).strip())
            stop.wait(_RECONNECT_SECONDS)
            yield None


@contextmanager
def _listening(url: str, channel: str) -> Iterator[Connection]:
    # Without keepalives a server that vanished would be waited for in silence.
    connection = psycopg2.connect(
        url, connect_timeout=10, keepalives_idle=30, keepalives_interval=10, keepalives_count=3
    )
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
        yield connection
    finally:
        connection.close()


def _hear(
    connection: Connection, patience: Callable[[], float], stop: threading.Event
) -> Iterator[Payload | None]:
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_READ)
        silent_since = time.monotonic()
        while not stop.is_set():
            remaining = silent_since + patience() - time.monotonic()
            if selector.select(max(0, min(remaining, _LOOK_FOR_STOP_SECONDS))):
                connection.poll()
                while connection.notifies:
                    yield Payload(connection.notifies.pop(0).payload)
            elif remaining > _LOOK_FOR_STOP_SECONDS:
                continue
            else:
                yield None
            silent_since = time.monotonic()
