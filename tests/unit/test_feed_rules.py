"""When a connection counts as dead, when it is tried again, and which quotes may be used."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from missiondesk.feeds.board import OLDEST_QUOTE, Board, Place
from missiondesk.feeds.timing import Life, Timing
from models.errors import DataStale
from models.quote import Quote

NOW = datetime(2026, 1, 2, tzinfo=UTC)
PLACE = Place("kraken", "BTC/USD")


def quoted(bid: str | None = "100", ask: str | None = "101", amount: str = "1", age: float = 0) -> Quote:
    heard = NOW - timedelta(seconds=age)
    best_bid, best_ask = (None if price is None else Decimal(price) for price in (bid, ask))
    return Quote(*PLACE, best_bid, Decimal(amount), best_ask, Decimal(amount), heard, heard)


def test_silence_is_asked_about_and_then_ended() -> None:
    timing = Timing(silence=20, answer=10)
    assert timing.life(119, heard_at=100, pinged_at=None) is Life.ALIVE
    assert timing.life(120, heard_at=100, pinged_at=None) is Life.SILENT
    assert timing.life(129, heard_at=100, pinged_at=120) is Life.WAITING
    assert timing.life(130, heard_at=100, pinged_at=120) is Life.DEAD
    # An answer came, and then silence again: the old ping does not count.
    assert timing.life(150, heard_at=125, pinged_at=120) is Life.SILENT


@given(st.lists(st.floats(0.01, 9), max_size=8))
def test_a_peer_that_vanishes_is_left_half_a_minute_after_its_last_word(answers: list[float]) -> None:
    """By the timing of every desk, and however long it answered pings before, each after so many seconds."""
    timing = Timing()
    heard_at = now = 0.0
    pinged_at: float | None = None
    while (life := timing.life(now, heard_at, pinged_at)) is not Life.DEAD:
        if life is Life.SILENT:
            pinged_at = now
            if answers:
                heard_at = now + answers.pop()
        look = timing.until_next_look(now, heard_at, pinged_at)
        assert look > 0, "no time passes by looking"
        now += look
    assert not answers
    assert now - heard_at == pytest.approx(30)


HEARD = st.tuples(
    st.just("heard"), st.sampled_from(["0", "1", "7", None]), st.sampled_from(["0", "2", "8", None])
)
EVENTS = st.lists(
    st.one_of(HEARD, st.tuples(st.just("lost")), st.tuples(st.just("later"), st.floats(0, 100))), max_size=20
)


@given(EVENTS)
def test_no_sequence_of_quotes_losses_and_silences_prices_a_stale_side(events: list[tuple[Any, ...]]) -> None:
    """Against the plainest model: a price counts while it is young, heard since the last loss, and not 0."""
    board, now = Board(), NOW
    said: tuple[datetime, str | None, str | None] | None = None
    for event in events:
        match event:
            case ("heard", bid, ask):
                board.put(replace(quoted(bid, ask), at=now, received_at=now))
                said = (now, bid, ask)
            case ("lost",):
                board.lose([PLACE])
                said = None
            case ("later", seconds):
                now += timedelta(seconds=seconds)
        fresh = said if said is not None and now - said[0] <= OLDEST_QUOTE else (now, None, None)
        stale = 0
        for side, price in (("bid", fresh[1]), ("ask", fresh[2])):
            if price in (None, "0"):
                stale += 1
                with pytest.raises(DataStale):
                    board.best(PLACE, side, now)  # type: ignore[arg-type]
            else:
                assert board.best(PLACE, side, now).price == Decimal(str(price))  # type: ignore[arg-type]
        assert board.stale_sides(PLACE, now) == stale


@given(st.integers(0, 10_000), st.integers())
def test_delays_grow_to_a_limit_and_are_never_the_same_for_all(failures: int, seed: int) -> None:
    timing = Timing(first_delay=0.5, longest_delay=60)
    delay = timing.delay(failures, random.Random(seed))
    whole = min(60.0, 0.5 * 2 ** min(failures, 20))
    assert whole / 2 <= delay <= whole


@pytest.mark.parametrize(
    ("quote", "said"),
    [
        (None, "kraken:BTC/USD has not been quoted yet"),
        (quoted(bid=None), "kraken:BTC/USD has no bid"),
        (quoted(bid="0"), "kraken:BTC/USD has no bid"),
        (quoted(amount="0"), "kraken:BTC/USD has no bid"),
        (quoted(age=61), "the quote of kraken:BTC/USD is 61 s old, needs at most 60 s"),
    ],
)
def test_an_empty_or_old_side_is_never_priced(quote: Quote | None, said: str) -> None:
    board = Board()
    if quote is not None:
        board.put(quote)
    with pytest.raises(DataStale, match=said):
        board.best(PLACE, "bid", NOW)


def test_the_other_side_of_an_empty_one_still_has_its_price() -> None:
    board = Board()
    board.put(quoted(bid=None))
    assert board.best(PLACE, "ask", NOW) == (Decimal(101), Decimal(1))


def test_what_a_lost_connection_said_counts_again_only_after_it_was_said_again() -> None:
    board = Board()
    board.put(quoted())
    board.lose([PLACE])
    assert board.problem(PLACE, NOW) == "the connection that quoted kraken:BTC/USD is lost"
    board.put(quoted(bid="99"))
    assert board.best(PLACE, "bid", NOW).price == 99
