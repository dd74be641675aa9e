"""Asking a market's websocket and waiting for the answer: one's own, in time, or an error that says why."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from missiondesk.exchanges.sandbox.playback.server import PlaybackServer
from missiondesk.feeds.asking import Askers
from missiondesk.feeds.board import Place
from missiondesk.feeds.feed import Feed, FeedThread
from missiondesk.feeds.open import Venues, open_feed
from missiondesk.feeds.timing import Timing
from missiondesk.market_names import market_of
from missiondesk.settings import Settings
from models.errors import DataStale, ExchangeUnreachable, UnknownName
from models.market import Level, OrderBook
from tests.waiting import wait_for

AT = datetime(2026, 1, 2, tzinfo=UTC)
PLACES = [Place("okx", "BTC/USDT"), Place("bitmex", "BTC/USD:BTC"), Place("krakenfutures", "XRP/USD:XRP")]
QUIET = Place("kraken", "BTC/USD")


@pytest.fixture(scope="module")
def server(shared_data: Path) -> Iterator[PlaybackServer]:
    folders = {place.exchange: shared_data / "wire" / place.exchange for place in PLACES}
    with PlaybackServer(folders, speed=20, repeat=True) as started:
        yield started


@pytest.fixture(scope="module")
def quiet_server(shared_data: Path) -> Iterator[PlaybackServer]:
    with PlaybackServer({QUIET.exchange: shared_data / "wire" / QUIET.exchange}) as started:
        yield started


def feed_of(server: PlaybackServer, *places: Place) -> Feed:
    named = [market_of(f"{place.exchange}:{place.symbol}", AT) for place in places]
    timing = Timing(first_delay=0.02, longest_delay=0.2, poll=3600)
    return open_feed(named, Venues(Settings.load({}), server.url), timing)


@contextmanager
def quiet(server: PlaybackServer) -> Iterator[FeedThread]:
    """A feed of a market that has said all it will say."""
    feed = feed_of(server, QUIET)
    with FeedThread(feed) as running:
        wait_for(lambda: feed.board.quote(QUIET) is not None, "its only frame")
        yield running


def connected(running: FeedThread, place: Place) -> OrderBook:
    """The first answer; before it the connection is made."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return running.next_order_book(place, 20)
        except ExchangeUnreachable:
            assert time.monotonic() < deadline


def test_many_who_ask_at_once_get_the_books_of_their_own_markets(server: PlaybackServer) -> None:
    with FeedThread(feed_of(server, *PLACES)) as running, ThreadPoolExecutor(12) as pool:
        for place in PLACES:
            connected(running, place)
        asked = [PLACES[number % 3] for number in range(30)]
        books = list(pool.map(running.next_order_book, asked))
        quotes = list(pool.map(running.next_quote, PLACES))
    assert [(book.exchange, book.symbol) for book in books] == asked
    for book in books:
        assert [level.price for level in book.bids] == sorted((b.price for b in book.bids), reverse=True)
        assert [level.price for level in book.asks] == sorted(level.price for level in book.asks)
        assert len(book.bids) >= 5 and len(book.asks) >= 5
    assert [Place(quote.exchange, quote.symbol) for quote in quotes] == PLACES
    assert all(quote.bid and quote.ask and quote.bid < quote.ask for quote in quotes)


def test_a_market_that_says_nothing_is_waited_for_so_long_and_no_longer(quiet_server: PlaybackServer) -> None:
    with quiet(quiet_server) as running:
        began = time.monotonic()
        with pytest.raises(DataStale, match=r"nothing was said of kraken:BTC/USD within 0\.2 s"):
            running.next_order_book(QUIET, 0.2)
        assert time.monotonic() - began < 20


def test_a_lost_connection_is_an_error_at_once_and_the_next_one_answers_again(
    quiet_server: PlaybackServer,
) -> None:
    with quiet(quiet_server) as running, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(running.next_order_book, QUIET, 60)
        # It has arrived when one that was asked later has been answered.
        with pytest.raises(DataStale):
            running.next_order_book(QUIET, 0.2)
        quiet_server.down = True
        try:
            assert quiet_server.drop_connections() == 1
            with pytest.raises(ExchangeUnreachable, match="kraken: the connection was lost, ask again"):
                waiting.result(10)
            with pytest.raises(ExchangeUnreachable, match="kraken: "):
                running.next_order_book(QUIET, 60)
        finally:
            quiet_server.down = False
        assert connected(running, QUIET).symbol == QUIET.symbol


def test_a_feed_that_is_stopped_leaves_nobody_waiting(quiet_server: PlaybackServer) -> None:
    with ThreadPoolExecutor(1) as pool:
        with quiet(quiet_server) as running:
            waiting = pool.submit(running.next_order_book, QUIET, 60)
            with pytest.raises(DataStale):
                running.next_order_book(QUIET, 0.2)
        with pytest.raises(ExchangeUnreachable):
            waiting.result(10)


def test_a_market_that_is_not_fed_is_refused_with_those_that_are(quiet_server: PlaybackServer) -> None:
    with quiet(quiet_server) as running, pytest.raises(UnknownName, match="existing: kraken:BTC/USD"):
        running.next_order_book(PLACES[0])


def book_of(symbol: str, number: int) -> OrderBook:
    return OrderBook("venue", symbol, (Level(Decimal(number), Decimal(1)),), (), AT)


EVENTS = st.one_of(
    st.tuples(st.just("ask"), st.sampled_from("AB")),
    st.tuples(st.just("answer"), st.sampled_from("AB")),
    st.tuples(st.just("give up"), st.integers(0, 5)),
    st.tuples(st.just("lose"), st.none()),
)


@given(st.lists(EVENTS, max_size=40))
def test_a_question_is_answered_by_the_first_that_is_said_after_it(events: list[tuple[str, object]]) -> None:
    """Against the plainest model: what each question should have got, by going through what happened."""

    async def play() -> None:
        askers, asked = Askers(), list[tuple[asyncio.Task[OrderBook], str]]()
        expected: dict[int, object] = {}
        for number, (what, of) in enumerate(events):
            waiting = [place for place in range(len(asked)) if place not in expected]
            if what == "ask":
                asked.append((asyncio.create_task(askers.next_order_book(str(of))), str(of)))
            elif what == "answer":
                expected |= {place: number for place in waiting if asked[place][1] == of}
                askers.answer(str(of), lambda of=of, number=number: book_of(str(of), number))  # type: ignore[misc]
            elif what == "lose":
                expected |= dict.fromkeys(waiting, "lost")
                askers.fail(ExchangeUnreachable("lost"))
            elif of in waiting:
                expected[int(str(of))] = "given up"
                asked[int(str(of))][0].cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        askers.fail(ExchangeUnreachable("the end"))
        outcomes = await asyncio.gather(*(task for task, _ in asked), return_exceptions=True)
        for place, (outcome, (_, symbol)) in enumerate(zip(outcomes, asked, strict=True)):
            match expected.get(place, "the end"):
                case int(number):
                    assert outcome == book_of(symbol, number)
                case "given up":
                    assert isinstance(outcome, asyncio.CancelledError)
                case said:
                    assert isinstance(outcome, ExchangeUnreachable)
                    assert str(outcome) == said

    asyncio.run(play())
