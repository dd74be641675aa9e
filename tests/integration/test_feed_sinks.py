"""Quotes reach the bus and the store in their order, whole, and through outages."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from queue import Queue
from threading import Event

import pytest
from sqlalchemy.exc import OperationalError

from missiondesk.bus.postgres import PostgresBus
from missiondesk.bus.subscriber import Message, Subscriber
from missiondesk.feeds.sinks import PRICE_CHANNEL, Sink, to_bus, to_store
from missiondesk.store.database import connect
from missiondesk.store.quotes import Quotes
from models.errors import DatabaseUnreachable
from models.quote import Quote
from tests.waiting import PATIENCE_SECONDS

START = datetime(2026, 1, 2, tzinfo=UTC)
AWAY = DatabaseUnreachable("away")
FULL = OperationalError("COPY", {}, Exception("no space left on device"))


def quoted(number: int) -> Quote:
    heard = START + timedelta(milliseconds=number)
    return Quote("kraken", "BTC/USD", Decimal(number), Decimal(1), Decimal(number + 1), None, heard, heard)


def test_the_bus_hears_prices_as_json(database_url: str) -> None:
    bus, inbox = PostgresBus(database_url), Queue[Message]()
    with Subscriber(bus) as subscriber:
        subscriber.register(PRICE_CHANNEL, inbox.put)
        assert subscriber.wait_until_heard(PRICE_CHANNEL)
        with to_bus(bus) as sink:
            for number in range(1000):
                sink(quoted(number))
        heard = [inbox.get(timeout=PATIENCE_SECONDS) for _ in range(1000)]
    bus.close()
    assert [message["price"] for message in heard[:2]] == ["0.5", "1.5"]
    assert [Quote.from_message(message) for message in heard] == [quoted(number) for number in range(1000)]
    assert sink.written == 1000


def test_the_store_keeps_all_of_them_in_order(database_url: str) -> None:
    engine = connect(database_url)
    quotes = Quotes(engine)
    with to_store(quotes) as sink:
        for number in range(12_000):
            sink(quoted(number))
    stored = list(quotes.between([("kraken", "BTC/USD")], START, START + timedelta(minutes=1)))
    engine.dispose()
    assert stored == [quoted(number) for number in range(12_000)]


class Outage:
    """Refuses until it is over."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.refused, self.over = Event(), Event()
        self.written: list[Quote] = []

    def write(self, quotes: Sequence[Quote]) -> None:
        if not self.over.is_set():
            self.refused.set()
            raise self.error
        self.written += quotes


@pytest.mark.parametrize("error", [AWAY, FULL])
def test_a_patient_sink_waits_for_the_end_of_an_outage_and_another_goes_on_without(error: Exception) -> None:
    for patient, expected in ((True, [quoted(1), quoted(2)]), (False, [quoted(2)])):
        outage = Outage(error)
        with Sink("test", outage.write, seconds=0.01, patient=patient) as sink:
            sink(quoted(1))
            assert outage.refused.wait(10)
            outage.over.set()
            sink(quoted(2))
        assert outage.written == expected


def test_a_patient_sink_keeps_only_so_many_of_the_newest() -> None:
    outage = Outage(AWAY)
    with Sink("test", outage.write, seconds=0.01, patient=True, kept=10) as sink:
        for number in range(100):
            sink(quoted(number))
        assert outage.refused.wait(10)
        outage.over.set()
    assert outage.written == [quoted(number) for number in range(90, 100)]
