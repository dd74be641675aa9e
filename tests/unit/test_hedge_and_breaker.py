"""When a hedge opens and closes, and leaving slow venues alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from missiondesk.feeds.board import Board, Place
from missiondesk.orders.entry import Holding
from missiondesk.strategies.breaker import REST, SLOW, Call, CircuitBreaker
from missiondesk.strategies.hedge import HedgeRules, HedgeTriggers, premium
from missiondesk.strategies.rules import Held, Move, Step
from models.quote import Quote

START = datetime(2026, 1, 2, tzinfo=UTC)
TRIGGERS = HedgeTriggers(open_at=Decimal("0.01"), close_at=Decimal("0.002"))
INDEX, SPOT = Place("okx", "BTC/USD:BTC-260327"), Place("kraken", "BTC/USD")
HOLDING = Held(Holding(Decimal(-1), Decimal(101)), Holding(Decimal(1), Decimal(100)))


def board_of(index: str, spot: str = "100") -> Board:
    """Both books are a tenth wide on each side of these prices."""
    board = Board()
    for place, middle in ((INDEX, Decimal(index)), (SPOT, Decimal(spot))):
        width = Decimal("0.1")
        board.put(Quote(*place, middle - width, None, middle + width, None, START, START))
    return board


def move(index: str, held: Held) -> Move | None:
    return HedgeRules(INDEX, SPOT, TRIGGERS).move(board_of(index), held, START)


def test_the_premium_is_of_the_middle_of_the_spot_book() -> None:
    assert premium(Decimal(101), Decimal(99), Decimal(101)) == Decimal("0.01")
    assert premium(Decimal(99), Decimal(99), Decimal(101)) == Decimal("-0.01")
    with pytest.raises(ValueError, match="expected prices above 0"):
        premium(Decimal(100), Decimal(0), Decimal(101))


def test_it_opens_high_closes_low_and_stays_between_as_a_maker() -> None:
    assert move("100.99", Held()) is None
    assert move("101", Held()) == Move(Step.OPEN, "sell", Decimal("101.1"), "premium 0.01000000")
    assert move("101", HOLDING) is None
    assert move("100.21", HOLDING) is None
    assert move("100.2", HOLDING) == Move(Step.CLOSE, "buy", Decimal("100.1"), "premium 0.00200000")
    with pytest.raises(ValueError, match=r"expected close_at below open_at 0\.01"):
        HedgeTriggers(open_at=Decimal("0.01"), close_at=Decimal("0.01"))


def test_a_stale_side_has_no_premium_and_that_is_said_once() -> None:
    rules, later = HedgeRules(INDEX, SPOT, TRIGGERS), START + timedelta(seconds=61)
    board = board_of("105")
    assert [str(report.kind) for report in rules.news(board, START)] == ["premium"]
    assert rules.news(board, START) == []
    (skipped,) = rules.news(board, later)
    assert skipped.text == "the quote of okx:BTC/USD:BTC-260327 is 61 s old, needs at most 60 s"
    assert rules.move(board, Held(), later) is None


CALLS = st.tuples(
    st.sampled_from(["a", "b"]), st.sampled_from(Call), st.integers(0, 30), st.integers(0, 3 * 3600)
)


@given(st.lists(CALLS, max_size=20), st.integers(0, 4 * 3600))
def test_a_market_is_bad_for_half_an_hour_after_each_slow_call(
    calls: list[tuple[str, Call, int, int]], seconds: int
) -> None:
    breaker, now = CircuitBreaker(), START + timedelta(seconds=seconds)
    for market, call, took, ended in calls:
        breaker = breaker.after(market, call, timedelta(seconds=took), START + timedelta(seconds=ended))
    for market in ("a", "b"):
        newest = max(
            (
                START + timedelta(seconds=ended)
                for name, call, took, ended in calls
                if name == market and timedelta(seconds=took) >= SLOW[call]
            ),
            default=None,
        )
        assert (breaker.problem(market, now) is not None) == (newest is not None and now - newest < REST)


@pytest.mark.parametrize(("call", "seconds"), [(Call.ORDER, 10), (Call.CANCEL, 20), (Call.DEPTH, 10)])
def test_how_slow_is_too_slow(call: Call, seconds: int) -> None:
    quick = CircuitBreaker().after("a", call, timedelta(seconds=seconds - 0.001), START)
    assert quick.problem("a", START) is None
    slow = CircuitBreaker().after("a", call, timedelta(seconds=seconds), START)
    assert slow.problem("a", START) == (
        f"a is left alone until 2026-01-02 00:30 UTC: its venue was slow ({call})"
    )
