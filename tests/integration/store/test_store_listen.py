"""Notifications are heard as they come, and every loss of the connection is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from missiondesk.store.listen import Connected, Payload, listen


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def first(events: Iterator[object]) -> object:
    """The first event that is not silence."""
    return next(event for event in events if event is not None)


def test_payloads_are_heard_after_connecting(database_url, rows, stop):
    events = listen(database_url, "news", patience=lambda: 30, stop=stop)
    assert next(events) == Connected()
    rows.sql("SELECT pg_notify('news', 'one'), pg_notify('other', 'not this'), pg_notify('news', 'two')")
    assert [next(events), next(events)] == [Payload("one"), Payload("two")]


def test_silence_is_told_after_the_patience(database_url, stop):
    events = listen(database_url, "news", patience=lambda: 0.05, stop=stop)
    next(events)
    before = time.monotonic()
    assert next(events) is None
    assert time.monotonic() - before >= 0.05


def test_a_lost_connection_is_made_again_and_told(database_url, rows, stop):
    events = listen(f"{database_url}&application_name=ear", "news", patience=lambda: 30, stop=stop)
    next(events)
    rows.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ear'")
    assert first(events) == Connected()
    rows.sql("NOTIFY news, 'after'")
    assert first(events) == Payload("after")


def test_a_database_that_does_not_answer_is_silence(stop):
    events = listen("postgresql://me@127.0.0.1:1/desk", "news", patience=lambda: 30, stop=stop)
    assert next(events) is None


def test_stop_ends_it_soon(database_url, stop):
    events = listen(database_url, "news", patience=lambda: 300, stop=stop)
    next(events)
    threading.Timer(0.1, stop.set).start()
    assert list(events) == []
