"""One behaviour over both buses: Postgres NOTIFY, and a real Redis server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue

import psycopg2
import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from missiondesk.bus.open import open_bus
from missiondesk.bus.parts import Assembly, parts_of
from missiondesk.bus.port import Bus
from missiondesk.bus.redis import RedisBus
from missiondesk.bus.subscriber import Message, Subscriber
from missiondesk.settings import Settings
from missiondesk.store.database import connect
from models.errors import InvalidSetting, RetryLater
from tests.waiting import PATIENCE_SECONDS, wait_for


@pytest.fixture(scope="session")
def redis_socket() -> Iterator[str]:
    """The address of a Redis server of the tests' own, installed from Debian's package when missing."""
    program = shutil.which("redis-server") or _installed()
    home = Path(tempfile.mkdtemp(prefix="redis-"))
    options = ["--port", "0", "--unixsocket", str(home / "socket"), "--save", "", "--dir", str(home)]
    with (home / "log").open("w") as log:
        server = subprocess.Popen([program, *options], stdout=log, stderr=subprocess.STDOUT)
    try:
        client = redis.Redis(unix_socket_path=str(home / "socket"))
        wait_for(lambda: _answers(client), "redis-server")
        client.close()
        yield f"unix://{home / 'socket'}"
    finally:
        server.terminate()
        server.wait(timeout=10)
        shutil.rmtree(home, ignore_errors=True)


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def _installed() -> str:
    if os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "-y", "-qq", "redis-server"], check=True, capture_output=True)
    program = shutil.which("redis-server")
    if program is None and os.environ.get("CI") == "true":
        pytest.fail("expected redis-server: on Debian, apt-get install redis-server")
    if program is None:
        pytest.skip("needs redis-server: on Debian, apt-get install redis-server")
    return program


@pytest.fixture(params=["postgres", "redis"])
def bus(request: pytest.FixtureRequest, database_url: str) -> Iterator[Bus]:
    environment = {"MISSIONDESK_DATABASE_URL": database_url}
    if request.param == "redis":
        environment["MISSIONDESK_BUS_URL"] = request.getfixturevalue("redis_socket")
    opened = open_bus(Settings.load(environment))
    yield opened
    opened.close()


@pytest.fixture
def subscriber(bus: Bus) -> Iterator[Subscriber]:
    with Subscriber(bus) as started:
        yield started


class Inbox(Queue[Message]):
    """What one handler got."""

    def __call__(self, message: Message) -> None:
        self.put(message)

    def next(self) -> Message:
        return self.get(timeout=PATIENCE_SECONDS)


def hear(subscriber: Subscriber, channel: str) -> Inbox:
    inbox = Inbox()
    subscriber.register(channel, inbox)
    assert subscriber.wait_until_heard(channel)
    return inbox


def test_messages_reach_the_handlers_of_their_channel_in_order(bus: Bus, subscriber: Subscriber) -> None:
    prices, others = hear(subscriber, "price"), hear(subscriber, "other")
    bus.publish("price", [json.dumps({"number": number}) for number in range(100)])
    bus.publish("other", ['{"number": -1}'])
    assert [prices.next()["number"] for _ in range(100)] == list(range(100))
    assert others.next() == {"number": -1}
    assert prices.empty()


def test_every_subscriber_hears(bus: Bus, subscriber: Subscriber) -> None:
    with Subscriber(bus) as another:
        first, second = hear(subscriber, "price"), hear(another, "price")
        bus.publish("price", ['{"price": "1"}'])
        assert first.next() == second.next() == {"price": "1"}


def test_a_handler_that_fails_stops_nobody(
    bus: Bus, subscriber: Subscriber, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(message: Message) -> None:
        raise ZeroDivisionError

    subscriber.register("price", broken)
    inbox = hear(subscriber, "price")
    bus.publish("price", ['{"number": 1}', '{"number": 2}'])
    assert [inbox.next()["number"], inbox.next()["number"]] == [1, 2]
    assert "a handler of channel 'price' failed" in caplog.text


def test_what_is_no_json_object_is_logged_and_passed_over(
    bus: Bus, subscriber: Subscriber, caplog: pytest.LogCaptureFixture
) -> None:
    inbox = hear(subscriber, "price")
    bus.publish("price", ["no json", "[1]", '{"number": 1}'])
    assert inbox.next() == {"number": 1}
    assert "expected a JSON object on channel 'price', got no json" in caplog.text


def test_what_no_bus_of_ours_sent_is_logged_and_passed_over(
    request: pytest.FixtureRequest, bus: Bus, subscriber: Subscriber, caplog: pytest.LogCaptureFixture
) -> None:
    inbox = hear(subscriber, "price")
    if isinstance(bus, RedisBus):
        with redis.Redis.from_url(request.getfixturevalue("redis_socket")) as stranger:
            stranger.publish("price", b"\xff is no text")
    else:
        with connect(request.getfixturevalue("database_url")).connect() as connection:
            connection.execute(text("SELECT pg_notify('price', :payload)"), {"payload": "\x1e is no part"})
    bus.publish("price", ['{"number": 1}'])
    assert inbox.next() == {"number": 1}
    assert "expected a JSON object on channel 'price', got" in caplog.text


def test_a_removed_handler_hears_no_more(bus: Bus, subscriber: Subscriber) -> None:
    removed, kept = hear(subscriber, "price"), hear(subscriber, "price")
    subscriber.remove("price", removed)
    bus.publish("price", ['{"number": 1}'])
    assert kept.next() == {"number": 1}
    assert removed.empty()
    with pytest.raises(LookupError, match="expected a handler of 'price'"):
        subscriber.remove("price", removed)


def test_what_nobody_handles_is_logged(
    bus: Bus, subscriber: Subscriber, caplog: pytest.LogCaptureFixture
) -> None:
    def once(message: Message) -> None:
        subscriber.remove("price", once)

    subscriber.register("price", once)
    assert subscriber.wait_until_heard("price")
    bus.publish("price", ['{"number": 1}', '{"number": 2}'])
    wait_for(lambda: "nobody handles what came on channel 'price'" in caplog.text, "a warning")


def test_long_texts_arrive_whole(bus: Bus, subscriber: Subscriber) -> None:
    inbox = hear(subscriber, "price")
    texts = ["short", "ä" * 4000, "€" * 50_000, "x" * 7999]
    bus.publish("price", [json.dumps({"text": text}, ensure_ascii=False) for text in texts])
    assert [inbox.next()["text"] for _ in texts] == texts


def test_a_lost_connection_is_made_again(
    bus: Bus, subscriber: Subscriber, request: pytest.FixtureRequest, database_url: str
) -> None:
    inbox = hear(subscriber, "price")
    cut: Callable[[], object]
    if "redis" in request.node.name:
        server = redis.Redis.from_url(request.getfixturevalue("redis_socket"))
        cut = lambda: server.client_kill_filter(_type="pubsub")  # noqa: E731
    else:
        cut = lambda: _cut_listeners(database_url)  # noqa: E731
    cut()

    def published_and_heard() -> bool:
        bus.publish("price", ['{"number": 1}'])
        return not inbox.empty()

    wait_for(published_and_heard, "a message after the cut")


def test_a_bus_that_is_not_there_says_so() -> None:
    for name, url in (
        ("MISSIONDESK_BUS_URL", "redis://:hidden@127.0.0.1:1/0"),
        ("MISSIONDESK_DATABASE_URL", "postgresql://user:hidden@127.0.0.1:1/desk"),
    ):
        absent = open_bus(Settings.load({name: url}))
        with pytest.raises(RetryLater, match="does not answer") as refused:
            absent.publish("price", ["{}"])
        assert "hidden" not in str(refused.value)
        absent.close()


def test_a_wrong_address_is_named() -> None:
    with pytest.raises(InvalidSetting, match=r"MISSIONDESK_BUS_URL: .*expected redis://host:port") as refused:
        Settings.load({"MISSIONDESK_BUS_URL": "http://user:hidden@host"})
    assert "hidden" not in str(refused.value)


@given(st.text(max_size=30_000), st.text(max_size=30_000))
def test_parts_of_two_senders_come_together(first: str, second: str) -> None:
    assembly = Assembly()
    senders = {1: list(parts_of(first)), 2: list(parts_of(second))}
    assert all(len(part.encode()) < 8000 for parts in senders.values() for part in parts)
    whole: dict[int, str | None] = {1: None, 2: None}
    while any(senders.values()):
        for sender, parts in senders.items():
            if parts:
                whole[sender] = assembly.whole(sender, parts.pop(0))
    assert whole == {1: first, 2: second}


def test_a_text_that_lost_a_part_is_dropped() -> None:
    assembly = Assembly()
    parts = list(parts_of("x" * 20_000))
    assert [assembly.whole(1, part) for part in (parts[0], parts[2])] == [None, None]
    assert assembly.whole(1, "next") == "next"


def _cut_listeners(database_url: str) -> None:
    session = psycopg2.connect(database_url)
    with session, session.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE query LIKE 'LISTEN%' AND datname = current_database()"
        )
    session.close()
