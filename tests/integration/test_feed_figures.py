"""What a feed counts is in the database and on the metrics page, whichever process was asked."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, update

from console.api.metrics import DeskMetrics
from missiondesk.bus.postgres import PostgresBus
from missiondesk.exchanges.sandbox.playback.server import PlaybackServer
from missiondesk.feeds.board import Place
from missiondesk.feeds.feed import FeedThread
from missiondesk.feeds.figures import FigureWriter
from missiondesk.feeds.open import Venues, open_feed
from missiondesk.feeds.streaming import Streaming
from missiondesk.feeds.timing import Timing
from missiondesk.market_names import market_of
from missiondesk.settings import Settings
from missiondesk.store.database import connect
from missiondesk.store.feed_figures import FeedFiguresStore
from missiondesk.store.quotes import Quotes
from models.feed_tables import feed_market
from models.quote import FeedFigures
from tests.waiting import wait_for

START = datetime(2026, 1, 2, tzinfo=UTC)
PLACES = [Place("krakenfutures", "XRP/USD:XRP"), Place("krakenfutures", "LTC/USD:LTC")]
HEARD = {"XRP/USD:XRP": 236, "LTC/USD:LTC": 450}
"""Order books in each recording."""


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = connect(database_url)
    yield engine
    engine.dispose()


def counted(symbol: str, number: int, stale: int = 0, heard_at: datetime | None = None) -> FeedFigures:
    return FeedFigures("okx", symbol, number, number, number, number, stale, heard_at)


def test_figures_of_all_feeds_of_a_market_add_up_and_the_newest_says_how_it_stands(engine: Engine) -> None:
    store = FeedFiguresStore(engine)
    later = datetime.now(UTC)
    store.add([counted("A", 3, heard_at=later), counted("B", 1)])
    store.add([counted("A", 4, stale=1, heard_at=START)])
    found = {figures.symbol: (figures, age) for figures, age in store.read()}
    assert found["A"][0] == counted("A", 7, stale=1, heard_at=later)
    assert 0 <= found["A"][1] < 60
    assert found["B"] == (counted("B", 1), float("inf"))


def test_markets_that_were_not_fed_for_a_day_are_not_shown(engine: Engine) -> None:
    store = FeedFiguresStore(engine)
    store.add([counted("A", 3)])
    with engine.begin() as connection:
        connection.execute(update(feed_market).values(reported_at=datetime.now(UTC) - timedelta(days=2)))
    assert store.read() == []


def metrics_of(engine: Engine) -> dict[str, float]:
    lines = DeskMetrics(engine).text().decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if line.startswith("missiondesk_feed_"))
    return {name.removeprefix("missiondesk_feed_"): float(value) for name, value in pairs}


def test_a_feeds_figures_are_on_the_metrics_page(
    shared_data: Path, database_url: str, engine: Engine
) -> None:
    folders = {"krakenfutures": shared_data / "wire" / "krakenfutures"}
    with PlaybackServer(folders, speed=None) as server:
        named = [market_of(f"{place.exchange}:{place.symbol}", START) for place in PLACES]
        timing = Timing(first_delay=0.02, longest_delay=0.2, poll=3600)
        feed = open_feed(named, Venues(Settings.load({}), server.url), timing)
        with Streaming(feed, PostgresBus(database_url), engine) as streaming, FeedThread(feed):
            messages = feed.venues["krakenfutures"].messages
            wait_for(lambda: dict(messages) == HEARD)
            server.drop_connections()
            wait_for(lambda: dict(messages) == {name: 2 * count for name, count in HEARD.items()})
    shown = metrics_of(engine)
    total = 0.0
    for place in PLACES:
        market = f'{{exchange="krakenfutures",symbol="{place.symbol}"}}'
        assert shown[f"messages_total{market}"] == 2 * HEARD[place.symbol]
        assert shown[f"reconnects_total{market}"] == 1
        assert shown[f"quotes_total{market}"] == shown[f"stored_quotes_total{market}"] > 0
        assert shown[f"stale_sides{market}"] == 2, "the feed has ended"
        assert 0 <= shown[f"age_seconds{market}"] < 60
        total += shown[f"stored_quotes_total{market}"]
    assert str(streaming).startswith(f"{total:.0f} quotes stored")
    kept = Quotes(engine).between(PLACES, START, datetime.now(UTC) + timedelta(days=1))
    assert len(list(kept)) == total


def test_a_feed_that_has_ended_is_seen_by_the_age_of_its_prices(engine: Engine) -> None:
    old = datetime.now(UTC) - timedelta(minutes=5)
    FeedFiguresStore(engine).add([counted("A", 1, stale=0, heard_at=old)])
    market = '{exchange="okx",symbol="A"}'
    shown = metrics_of(engine)
    assert shown[f"stale_sides{market}"] == 2
    assert shown[f"age_seconds{market}"] > 299


def test_figures_that_could_not_be_written_are_added_the_next_time(engine: Engine) -> None:
    place = Place("sandbox", "BTC/USD")
    settings = Settings.load({"MISSIONDESK_EXCHANGE_URL": "http://127.0.0.1:1"})
    feed = open_feed([market_of("sandbox:BTC/USD", START)], Venues(settings))
    away = connect("postgresql://postgres@127.0.0.1:1/nowhere")
    writer = FigureWriter(feed, FeedFiguresStore(away), seconds=3600)
    with writer:
        feed.venues[place.exchange].messages[place.symbol] += 5
        writer._write()
        writer._store = FeedFiguresStore(engine)
    ((figures, _),) = FeedFiguresStore(engine).read()
    assert (figures.messages, figures.stale_sides, figures.heard_at) == (5, 2, None)
