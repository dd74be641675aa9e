"""When a connection counts as dead, when it is tried again, and which quotes may be used."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from missiondesk.feeds.board import Board, Place
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


@given(st.lists(st.floats(0.01, 5), max_size=30), st.floats(0.05, 2))
def test_a_peer_that_vanishes_is_left_within_silence_answer_and_two_looks(
    messages: list[float], look: float
) -> None:
    timing = Timing(silence=20, answer=10)
    heard_at = sum(messages)
    now, pinged_at = heard_at, None
    while (life := timing.life(now, heard_at, pinged_at)) is not Life.DEAD:
        pinged_at = now if life is Life.SILENT else pinged_at
        now += look
    assert 30 <= now - heard_at <= 30 + 2 * look + 1e-6


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
