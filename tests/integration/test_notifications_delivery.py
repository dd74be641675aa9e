"""Notifications reach every channel of their account once; one that breaks or hangs harms no other."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import Engine, text

from missiondesk.notifications.channel import Channel, NotSent
from missiondesk.notifications.deliverer import Deliverer
from missiondesk.notifications.message import Message
from missiondesk.store.database import connect, transaction
from missiondesk.store.notifications import Notifications
from models.errors import InputRefused
from tests.waiting import wait_for

NEVER = threading.Event()


class Taking:
    """A channel that remembers what it took; `trouble` is called first."""

    def __init__(self, trouble: Callable[[], object] = lambda: None) -> None:
        self.taken: list[list[str]] = []
        self.trouble = trouble

    def send(self, message: Message) -> None:
        self.trouble()
        self.taken.append([each.subject for each in message.notifications])

    @property
    def subjects(self) -> list[str]:
        return [subject for message in self.taken for subject in message]


def refuse() -> None:
    raise NotSent("the line is dead")


class Office:
    """A database with news for some channels."""

    def __init__(self, url: str) -> None:
        self.engine: Engine = connect(url)
        self.channels: dict[str, Channel] = {"log": Taking()}

    def deliverer(self, default: Sequence[str] = ("log",), **limits: float) -> Deliverer:
        def named(name: str) -> Channel:
            if name not in self.channels:
                raise InputRefused(f"no block {name!r}")
            return self.channels[name]

        return Deliverer(Notifications(self.engine), named, default, **limits)

    def channel(self, name: str, trouble: Callable[[], object] = lambda: None) -> Taking:
        made = self.channels[name] = Taking(trouble)
        return made

    def account(self, name: str, channels: list[str] | None) -> None:
        self.sql(
            "INSERT INTO account (name, channels) VALUES (:name, :channels)", name=name, channels=channels
        )

    def news(self, subject: str, account: str | None = None) -> None:
        self.sql(
            "SELECT tell(CAST(:subject AS text), 'task broke', CAST(:account AS text), :subject, 'why')",
            subject=subject,
            account=account,
        )

    def all_due(self) -> None:
        self.sql("UPDATE delivery SET next_try_at = now() WHERE sent_at IS NULL")

    def sql(self, statement: str, **given: Any) -> list[Any]:
        with self.engine.connect() as connection:
            found = connection.execute(text(statement), given)
            return list(found) if found.returns_rows else []


@pytest.fixture
def office(database_url: str) -> Iterator[Office]:
    made = Office(database_url)
    yield made
    made.engine.dispose()


def test_each_account_has_its_own_channels(office: Office) -> None:
    log, mail, chat = office.channels["log"], office.channel("mail"), office.channel("chat")
    assert isinstance(log, Taking)
    office.account("default", None)
    office.account("own", ["chat", "mail", "chat", ""])
    office.account("quiet", [])
    for account in (None, "default", "own", "quiet", "gone"):
        office.news(f"of {account}", account)
    deliverer = office.deliverer(["log"])
    for _ in range(2):
        deliverer.deliver(NEVER)
    assert log.taken == [["of None", "of default", "of gone"]]
    assert mail.taken == chat.taken == [["of own"]]


def test_the_same_event_is_told_once(office: Office) -> None:
    log = office.channel("log")
    deliverer = office.deliverer()
    for _ in range(3):
        office.news("broken")
        deliverer.deliver(NEVER)
    assert log.taken == [["broken"]]


def test_a_refusing_channel_gets_its_news_later_and_others_at_once(office: Office) -> None:
    mail, chat = office.channel("mail", refuse), office.channel("chat")
    office.account("main", ["mail", "chat"])
    office.news("first", "main")
    deliverer = office.deliverer()
    deliverer.deliver(NEVER)
    office.news("second", "main")
    deliverer.deliver(NEVER)
    assert chat.subjects == ["first", "second"]
    assert office.sql("SELECT problem, tries FROM delivery WHERE channel = 'mail' ORDER BY tries DESC") == [
        ("the line is dead", 1),
        ("", 0),
    ]
    mail.trouble = lambda: None
    office.all_due()
    office.deliverer().deliver(NEVER)
    assert mail.taken == [["first", "second"]]
    assert chat.subjects == ["first", "second"]


def test_pauses_grow_up_to_an_hour_and_end_after_a_day(office: Office) -> None:
    office.channel("log", refuse)
    office.news("broken")
    pauses = []
    for _ in range(9):
        office.deliverer().deliver(NEVER)
        ((waits,),) = office.sql("SELECT extract(epoch FROM next_try_at - now()) / 60 FROM delivery")
        pauses.append(round(waits))
        office.all_due()
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    office.sql("UPDATE delivery SET created_at = now() - interval '25 hours'")
    office.deliverer().deliver(NEVER)
    assert office.sql("SELECT tries FROM delivery") == [(9,)]


def test_an_unknown_channel_is_said_once_and_gets_its_news_when_it_is_there(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    office.account("main", ["ops"])
    deliverer = office.deliverer(rest_seconds=0)
    for number in range(3):
        office.news(f"news {number}", "main")
        office.all_due()
        deliverer.deliver(NEVER)
    said = [record.getMessage() for record in caplog.records]
    assert said == ["channel 'ops' takes no notifications, they wait: no block 'ops'"]
    ops = office.channel("ops")
    office.all_due()
    deliverer.deliver(NEVER)
    assert ops.taken == [["news 0", "news 1", "news 2"]]
    assert caplog.records[-1].getMessage() == "channel 'ops' takes notifications again"


def test_a_channel_that_raises_anything_costs_nobody_else_anything(office: Office) -> None:
    def burst() -> None:
        raise ZeroDivisionError("https://hooks.example.org/secret")

    office.channel("mail", burst)
    chat = office.channel("chat")
    office.account("main", ["mail", "chat"])
    office.news("first", "main")
    office.deliverer().deliver(NEVER)
    assert chat.subjects == ["first"]
    assert office.sql("SELECT problem FROM delivery WHERE channel = 'mail'") == [("ZeroDivisionError",)]


def test_a_hanging_channel_is_left_after_its_time(office: Office) -> None:
    released = threading.Event()
    office.channel("a", lambda: released.wait(60))
    chat = office.channel("chat")
    office.account("main", ["a", "chat"])
    deliverer = office.deliverer(send_seconds=0.3)
    began = time.monotonic()
    try:
        for number in range(5):
            office.news(f"news {number}", "main")
            deliverer.deliver(NEVER)
        assert time.monotonic() - began < 10
    finally:
        released.set()
    assert len(chat.subjects) == 5
    assert ("no answer within 0.3 s",) in office.sql("SELECT problem FROM delivery WHERE channel = 'a'")


def test_no_row_is_locked_while_a_channel_hangs(office: Office) -> None:
    entered, released = threading.Event(), threading.Event()

    def hang() -> None:
        entered.set()
        released.wait(60)

    office.channel("log", hang)
    office.news("first")
    delivering = threading.Thread(target=office.deliverer().deliver, args=(NEVER,))
    delivering.start()
    try:
        assert entered.wait(20)
        with transaction(office.engine) as connection:
            connection.execute(text("SET LOCAL lock_timeout = '1s'"))
            for table in ("notification", "delivery", "account", "mission", "result_log"):
                connection.execute(text(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))
    finally:
        released.set()
        delivering.join(30)


def test_what_a_dying_process_was_handing_over_is_sent_again(office: Office) -> None:
    log = office.channel("log")
    office.news("news")
    notifications = Notifications(office.engine)
    notifications.route(["log"])
    assert notifications.take() is not None  # and it dies
    office.deliverer().deliver(NEVER)
    assert log.taken == []
    assert office.sql("SELECT next_try_at > now() + interval '50 seconds' FROM delivery") == [(True,)]
    office.all_due()
    office.deliverer().deliver(NEVER)
    assert log.taken == [["news"]]


def test_processes_that_deliver_together_send_everything_once(office: Office) -> None:
    log = office.channel("log", lambda: time.sleep(0.001))
    count = 1_000
    office.sql(
        "INSERT INTO notification (key, kind, subject)"
        " SELECT n, 'task broke', n FROM generate_series(1, :n) AS n",
        n=count,
    )
    together = [threading.Thread(target=office.deliverer().deliver, args=(NEVER,)) for _ in range(4)]
    for thread in together:
        thread.start()
    for thread in together:
        thread.join(60)
    office.deliverer().deliver(NEVER)
    assert sorted(map(int, log.subjects)) == list(range(1, count + 1))
    assert office.sql("SELECT count(*) FROM delivery WHERE sent_at IS NULL OR tries <> 1") == [(0,)]


def test_a_lost_database_is_waited_for(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    log = office.channel("log")
    stop = threading.Event()
    running = threading.Thread(target=office.deliverer().run, args=(stop,))
    running.start()
    try:
        office.sql("ALTER TABLE delivery RENAME TO hidden")
        office.news("news")
        wait_for(lambda: "no notifications are delivered" in caplog.text)
        office.sql("ALTER TABLE hidden RENAME TO delivery")
        wait_for(lambda: log.subjects == ["news"])
    finally:
        stop.set()
        running.join(30)


def test_times_are_aware(office: Office) -> None:
    seen: list[datetime] = []

    class Watching:
        def send(self, message: Message) -> None:
            seen.extend(each.created_at for each in message.notifications)

    office.channels["log"] = Watching()
    office.news("news")
    office.deliverer().deliver(NEVER)
    assert [at.tzinfo is not None for at in seen] == [True]
