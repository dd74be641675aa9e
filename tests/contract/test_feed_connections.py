"""Connections that are cut, fall silent or stay away: no subscription is lost, no old price is used."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from missiondesk.exchanges.sandbox.playback.server import PlaybackServer
from missiondesk.exchanges.sandbox.server import SandboxServer
from missiondesk.feeds.board import Place
from missiondesk.feeds.feed import Feed, FeedThread
from missiondesk.feeds.open import Venues, open_feed
from missiondesk.feeds.polling import Polling
from missiondesk.feeds.timing import Timing
from missiondesk.market_names import market_of
from missiondesk.settings import Settings
from models.errors import DataStale, VenueClosed
from models.quote import Quote
from tests.waiting import wait_for

NAMES = ("krakenfutures:XRP/USD:XRP", "krakenfutures:LTC/USD:LTC")
PLACES = [Place("krakenfutures", "XRP/USD:XRP"), Place("krakenfutures", "LTC/USD:LTC")]
TOPIC = "book:PI_XRPUSD"
QUICK = Timing(first_delay=0.02, longest_delay=0.2, poll=3600)


@pytest.fixture
def server(shared_data: Path) -> Iterator[PlaybackServer]:
    folder = shared_data / "wire" / "krakenfutures"
    with PlaybackServer({"krakenfutures": folder}, speed=None) as started:
        yield started


@contextmanager
def running(server: PlaybackServer, timing: Timing) -> Iterator[Feed]:
    settings = Settings.load({})
    now = datetime.now(UTC)
    feed = open_feed([market_of(name, now) for name in NAMES], Venues(settings, server.url), timing)
    with FeedThread(feed):
        yield feed


def all_fresh(feed: Feed) -> bool:
    return all(feed.board.problem(place, datetime.now(UTC)) is None for place in PLACES)


def test_fifty_cuts_lose_no_subscription(server: PlaybackServer) -> None:
    with running(server, QUICK) as feed:
        for cut in range(50):
            wait_for(lambda: all_fresh(feed), f"both markets after {cut} cuts")
            subscribed = len(server.subscribed)
            assert server.drop_connections() == 1
            wait_for(lambda before=subscribed: len(server.subscribed) == before + 2, "both subscriptions")
        wait_for(lambda: all_fresh(feed), "both markets after the last cut")
    assert feed.venues["krakenfutures"].connections == 51


def test_a_silent_peer_is_noticed_and_left(server: PlaybackServer) -> None:
    with running(server, Timing(silence=0.6, answer=0.3, first_book=2, first_delay=0.02, poll=3600)) as feed:
        wait_for(lambda: all_fresh(feed), "both markets")
        silent_since = time.monotonic()
        server.silent = True
        wait_for(lambda: not all_fresh(feed), "a lost connection")
        assert 0.5 < time.monotonic() - silent_since < 10
        server.silent = False
        wait_for(lambda: all_fresh(feed), "both markets again")


def test_a_quiet_peer_that_answers_pings_stays(server: PlaybackServer) -> None:
    with running(server, Timing(silence=0.2, answer=0.3, first_delay=0.02, poll=3600)) as feed:
        wait_for(lambda: all_fresh(feed), "both markets")
        time.sleep(1.5)  # its recording is at its end: nothing but answers to pings comes now
        assert feed.venues["krakenfutures"].connections == 1
        assert all_fresh(feed)


def test_a_subscription_without_an_answer_is_made_again(server: PlaybackServer) -> None:
    server.deaf_to = {TOPIC}
    with running(server, replace(QUICK, first_book=0.3)) as feed:
        venue = feed.venues["krakenfutures"]
        wait_for(lambda: venue.connections == 2, "another connection")
        server.deaf_to.clear()
        wait_for(lambda: all_fresh(feed), "both markets")


def test_a_market_that_never_answers_leaves_the_others_in_peace(
    server: PlaybackServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.deaf_to = {TOPIC}
    with running(server, replace(QUICK, first_book=0.1)) as feed:
        wait_for(lambda: "still no answer for XRP/USD:XRP; waiting" in caplog.text, "no more attempts")
        assert feed.venues["krakenfutures"].connections == 4
        wait_for(lambda: feed.board.problem(PLACES[1], datetime.now(UTC)) is None, "the other market")
        assert feed.board.problem(PLACES[0], datetime.now(UTC)) is not None


def test_a_lost_market_is_never_priced(server: PlaybackServer) -> None:
    with running(server, QUICK) as feed:
        wait_for(lambda: all_fresh(feed), "both markets")
        server.down = True
        server.drop_connections()
        wait_for(lambda: not all_fresh(feed), "a lost connection")
        for place in PLACES:
            with pytest.raises(DataStale, match=r"the connection that quoted .* is lost"):
                feed.board.best(place, "bid", datetime.now(UTC))
        server.down = False
        wait_for(lambda: all_fresh(feed), "both markets again")


def test_rest_takes_over_while_the_websocket_is_away(server: PlaybackServer) -> None:
    server.down = True
    heard: list[Quote] = []
    with running(server, Timing(first_delay=0.05, longest_delay=0.2, poll=0.05)) as feed:
        feed.register(heard.append)
        wait_for(lambda: all_fresh(feed), "both markets by REST")
        count = len(heard)
        wait_for(lambda: len(heard) > count, "REST to be asked again")
        best = feed.board.best(PLACES[1], "bid", datetime.now(UTC))
        assert (str(best.price), str(best.amount)) == ("119.34", "28233.0")
        assert server.subscribed == []
        server.down = False
        wait_for(lambda: len(server.subscribed) == 2, "the websocket again")


def test_an_old_quote_does_not_count_even_on_a_living_connection(server: PlaybackServer) -> None:
    with running(server, QUICK) as feed:
        wait_for(lambda: all_fresh(feed), "both markets")
        later = datetime.now(UTC) + timedelta(seconds=61)
        with pytest.raises(DataStale, match="s old, needs at most 60 s"):
            feed.board.best(PLACES[0], "ask", later)


def test_a_closed_venue_ends_the_feed_and_says_where_to_go() -> None:
    with pytest.raises(VenueClosed, match="Kraken Futures"):
        open_feed([market_of("bitmex_future_btcusd", datetime.now(UTC))], Venues(Settings.load({})))


def test_an_exchange_without_a_websocket_is_asked_again_and_again() -> None:
    place = Place("sandbox", "BTC/USD")
    heard: list[Quote] = []
    with SandboxServer() as sandbox:
        market = Venues(Settings.load({"MISSIONDESK_EXCHANGE_URL": sandbox.url})).open("sandbox")
        feed = Feed([place], lambda _, quote, book: Polling(market, quote, book, 0.05), lambda _: None, QUICK)
        feed.register(heard.append)
        with FeedThread(feed):
            wait_for(lambda: len(heard) >= 2, "two answers")
            assert feed.board.problem(place, datetime.now(UTC)) is None


def test_handlers_come_and_go_and_one_that_fails_stops_nobody(
    server: PlaybackServer, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[Quote] = []

    def broken(quote: Quote) -> None:
        raise ZeroDivisionError

    settings, now = Settings.load({}), datetime.now(UTC)
    feed = open_feed([market_of(name, now) for name in NAMES], Venues(settings, server.url), QUICK)
    feed.register(broken)
    feed.register(heard.append)
    with FeedThread(feed):
        wait_for(lambda: len(heard) >= 71, "all of the recording")
        feed.remove(broken)
    assert "a handler of quotes failed" in caplog.text
    with pytest.raises(LookupError, match="expected a registered handler"):
        feed.remove(broken)
