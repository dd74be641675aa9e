"""Hedging what is filled, and leaving slow venues alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from missiondesk.strategies.breaker import REST, SLOW, Call, CircuitBreaker
from missiondesk.strategies.hedge import (
    MOST_TAKER_ERRORS,
    Hedge,
    HedgeTriggers,
    Step,
    premium,
)

START = datetime(2026, 1, 2, tzinfo=UTC)
AMOUNTS = st.decimals(0, 1000, places=3)
LOT = Decimal("0.01")
TRIGGERS = HedgeTriggers(open_at=Decimal("0.01"), close_at=Decimal("0.002"))


def test_the_premium_is_of_the_middle_of_the_spot_book() -> None:
    assert premium(Decimal(101), Decimal(99), Decimal(101)) == Decimal("0.01")
    assert premium(Decimal(99), Decimal(99), Decimal(101)) == Decimal("-0.01")
    with pytest.raises(ValueError, match="expected prices above 0"):
        premium(Decimal(100), Decimal(0), Decimal(101))


def test_it_opens_high_closes_low_and_stays_between() -> None:
    flat, held = Hedge(), Hedge(maker_filled=Decimal(1), hedged=Decimal(1))
    assert [flat.step(Decimal(value), TRIGGERS) for value in ("0.0099", "0.01")] == [Step.STAY, Step.OPEN]
    assert [held.step(Decimal(value), TRIGGERS) for value in ("0.01", "0.0021", "0.002")] == [
        Step.STAY,
        Step.STAY,
        Step.CLOSE,
    ]
    with pytest.raises(ValueError, match=r"expected close_at below open_at 0\.01"):
        HedgeTriggers(open_at=Decimal("0.01"), close_at=Decimal("0.01"))


@given(st.lists(AMOUNTS, max_size=30))
def test_less_than_a_lot_is_left_uncovered_whatever_is_filled(fills: list[Decimal]) -> None:
    hedge = Hedge()
    for filled in fills:
        hedge = hedge.maker_has(filled)
        amount = hedge.to_hedge(LOT)
        assert amount % LOT == 0
        hedge = hedge.taker_traded(amount) if amount else hedge
        assert abs(hedge.maker_filled - hedge.hedged) < LOT
        assert hedge.to_hedge(LOT) == 0


@given(st.lists(st.booleans(), max_size=30))
def test_five_errors_in_a_row_stop_it(successes: list[bool]) -> None:
    hedge, in_a_row = Hedge(maker_filled=Decimal(1)), 0
    for success in successes:
        if hedge.stopped:
            break
        hedge = hedge.taker_traded(Decimal(0)) if success else hedge.taker_failed()
        in_a_row = 0 if success else in_a_row + 1
    assert hedge.stopped == (in_a_row == MOST_TAKER_ERRORS)
    if hedge.stopped:
        assert hedge.to_hedge(LOT) == 0
        assert hedge.step(Decimal(-1), TRIGGERS) is Step.STAY


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


@pytest.mark.parametrize(("call", "seconds"), [(Call.BUY, 10), (Call.CANCEL, 20), (Call.DEPTH, 10)])
def test_how_slow_is_too_slow(call: Call, seconds: int) -> None:
    quick = CircuitBreaker().after("a", call, timedelta(seconds=seconds - 0.001), START)
    assert quick.problem("a", START) is None
    slow = CircuitBreaker().after("a", call, timedelta(seconds=seconds), START)
    assert slow.problem("a", START) == (
        f"a is left alone until 2026-01-02 00:30 UTC: its venue was slow ({call})"
    )
