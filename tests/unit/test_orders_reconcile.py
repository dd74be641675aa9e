"""What follows from a place's orders and from a look at the venue."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from missiondesk.orders.patience import Patience
from missiondesk.orders.reconcile import (
    Discard,
    Done,
    LookUp,
    Send,
    absent_after,
    after_absence,
    after_report,
    next_step,
)
from models.order import ExchangeOrder, Order, OrderStatus
from tests.little_venue import BITCOIN
from tests.order_values import NOON, order

PATIENCE = Patience()
LOT = BITCOIN.lot
ReportStatus = Literal["open", "closed", "cancelled", "rejected"]

lots = st.integers(0, 10_000).map(lambda count: count * LOT)
moments = st.integers(-100, 100).map(lambda seconds: NOON + timedelta(seconds=seconds))
orders = st.builds(
    lambda status, amount, share, sent_at, deadline, number: order(
        status=status,
        amount=amount,
        filled=amount if status == "filled" else amount * share // LOT * LOT,
        sent_at=sent_at,
        deadline=deadline,
        exchange_order_id=number,
    ),
    status=st.sampled_from(OrderStatus),
    amount=lots.filter(bool),
    share=st.decimals(min_value=0, max_value=1, places=3),
    sent_at=st.none() | moments,
    deadline=st.none() | moments,
    number=st.none() | st.just("O-1"),
)
attempts = st.lists(orders, max_size=5).map(
    lambda made: [made_order.model_copy(update={"attempt": number}) for number, made_order in enumerate(made)]
)


def report(status: ReportStatus, filled: Decimal, amount: Decimal = Decimal(1)) -> ExchangeOrder:
    return ExchangeOrder(
        exchange_order_id="O-1",
        client_order_id="0" * 32,
        symbol="BTC/USD",
        side="buy",
        type="market",
        amount=amount,
        filled=filled,
        status=status,
        average=Decimal(100) if filled else None,
    )


@given(attempts, st.none() | st.floats(0, 200), moments)
def test_there_is_always_one_next_step_and_nothing_is_sent_beside_an_order_that_may_live(
    made: list[Order], timeout: float | None, now: datetime
) -> None:
    step = next_step(made, BITCOIN, timeout, now)
    match step:
        case Discard(last):
            assert last.status is OrderStatus.INTENT
        case LookUp(last, _):
            assert last.status in (OrderStatus.SENT, OrderStatus.UNKNOWN, OrderStatus.OPEN)
        case Send(attempt, remainder, denied):
            assert all(made_order.attempt < attempt for made_order in made)
            assert not made or made[-1].status.is_final
            assert denied is None or denied == made[-1]
            if remainder is not None:
                goal = next(made_order.amount for made_order in made if made_order.filled > 0)
                assert 0 < remainder <= goal - sum(made_order.filled for made_order in made)
        case Done():
            assert sum(made_order.filled for made_order in made) > 0
            assert made[-1].status.is_final


@given(orders, st.sampled_from(["open", "closed", "cancelled", "rejected"]), lots)
def test_fills_never_shrink_and_only_a_final_report_makes_an_order_final(
    before: Order, status: ReportStatus, filled: Decimal
) -> None:
    after = after_report(before, report(status, min(filled, before.amount)), LOT)
    assert after.filled >= before.filled
    assert after.status.is_final == (status != "open")
    if after.status is OrderStatus.FILLED:
        assert after.remaining < LOT


@given(orders, moments)
def test_absent_is_given_up_only_after_its_deadline_and_a_margin(before: Order, asked_at: datetime) -> None:
    after = after_absence(before, asked_at, PATIENCE)
    if after.status is OrderStatus.CANCELLED:
        assert asked_at > absent_after(before, PATIENCE)
        assert before.status is not OrderStatus.OPEN
    else:
        assert after.status is OrderStatus.UNKNOWN
    assert after.filled == before.filled


def test_an_acknowledged_order_that_vanished_waits_once_more() -> None:
    vanished = after_absence(order(status="open", deadline=NOON), NOON + timedelta(hours=1), PATIENCE)
    assert vanished.status is OrderStatus.UNKNOWN
    assert after_absence(vanished, NOON + timedelta(hours=1, seconds=20), PATIENCE) == vanished
    gone = after_absence(vanished, NOON + timedelta(hours=1, seconds=21), PATIENCE)
    assert gone.status is OrderStatus.CANCELLED


def test_a_report_older_than_what_is_known_keeps_the_fills() -> None:
    known = order(status="open", filled="0.5", cost=Decimal(50), fee=Decimal(1))
    after = after_report(known, report("open", Decimal("0.2")), LOT)
    assert (after.filled, after.cost, after.fee) == (Decimal("0.5"), Decimal(50), Decimal(1))


def test_filled_means_to_within_one_lot() -> None:
    almost = after_report(order(status="open", amount="1.00005"), report("closed", Decimal(1)), LOT)
    assert almost.status is OrderStatus.FILLED
    short = after_report(order(status="open"), report("closed", Decimal("0.9999")), LOT)
    assert (short.status, short.reason) == (
        OrderStatus.CANCELLED,
        "the venue closed it with 0.9999 of 1 filled",
    )


def test_the_timeout_runs_from_the_sending() -> None:
    resting = order(status="open")
    for seconds, overdue in ((59, False), (60, True)):
        step = next_step([resting], BITCOIN, 60, NOON + timedelta(seconds=seconds))
        assert step == LookUp(resting, overdue)
    assert next_step([resting], BITCOIN, None, NOON + timedelta(days=9)) == LookUp(resting, False)
