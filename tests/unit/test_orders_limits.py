"""The limits of an account, and that no sequence of orders passes one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from missiondesk.orders.admission import DeskState, MissionState, Standing, refusal
from missiondesk.orders.decision import Decided, Snapshot, decide
from missiondesk.orders.entry import holding_after
from missiondesk.orders.exposure import Book, Carried, Draft, Mark, Market, activity, reducible, unsold
from missiondesk.orders.limits import Activity, over_limit
from missiondesk.orders.reconcile import Done, Send
from missiondesk.orders.sizing import Denied, Means
from missiondesk.orders.terms import Terms
from models.account import Account
from models.market import Side
from models.order import Order, OrderStatus
from tests.little_venue import BITCOIN, ETHER
from tests.order_values import NOON, REQUEST, entry_of, order

MIDNIGHT = datetime(2026, 3, 1, tzinfo=NOON.tzinfo)
ACCOUNT = Account(name="trader", armed=True, slippage=Decimal(0))
QUIET = Activity(notional=Decimal(100), orders_last_minute=0)
DESK = DeskState(UUID(int=1), halted=False, halt_reduce_only=False)
MISSION = MissionState(enabled=True, open=True, leased=True)
STANDING = Standing(ACCOUNT, DESK, MISSION)
MARKET = (BITCOIN.exchange, BITCOIN.symbol)


def book_of(orders: Sequence[Order] = (), carried: Mapping[Market, Carried] | None = None) -> Book:
    return Book([entry_of(each) for each in orders], carried or {})


def limited(**limits: object) -> Account:
    return ACCOUNT.model_copy(update=limits)


@pytest.mark.parametrize(
    ("limits", "activity", "limit"),
    [
        ({}, replace(QUIET, notional=Decimal(10**9), day_gain=Decimal(-(10**9))), None),
        ({"max_order_notional": Decimal(100)}, QUIET, None),
        ({"max_order_notional": Decimal(99)}, QUIET, "max_order_notional"),
        ({"max_open_exposure": Decimal(100)}, replace(QUIET, exposure_after=Decimal(100)), None),
        (
            {"max_open_exposure": Decimal(99)},
            replace(QUIET, exposure_after=Decimal(100)),
            "max_open_exposure",
        ),
        (
            {"max_open_exposure": Decimal(99)},
            replace(QUIET, exposure_before=Decimal(200), exposure_after=Decimal(100)),
            None,
        ),
        ({"max_orders_per_minute": 2}, replace(QUIET, orders_last_minute=1), None),
        ({"max_orders_per_minute": 2}, replace(QUIET, orders_last_minute=2), "max_orders_per_minute"),
        ({"max_daily_loss": Decimal(10)}, replace(QUIET, day_gain=Decimal("-9.99")), None),
        ({"max_daily_loss": Decimal(10)}, replace(QUIET, day_gain=Decimal(-10)), "max_daily_loss"),
    ],
)
def test_each_limit_names_itself(limits: dict[str, object], activity: Activity, limit: str | None) -> None:
    said = over_limit(limited(**limits), activity, reduces=False)
    assert (said or "").startswith(limit or "") and (said is None) == (limit is None)
    reducing = over_limit(limited(**limits), activity, reduces=True)
    assert (reducing is None) == (limit != "max_orders_per_minute")


@pytest.mark.parametrize(
    ("standing", "reduces", "because"),
    [
        (STANDING, False, None),
        (replace(STANDING, desk=None), True, "missiondesk doctor"),
        (replace(STANDING, desk=replace(DESK, halted=True)), True, "halted"),
        (replace(STANDING, desk=replace(DESK, halted=True, halt_reduce_only=True)), False, "halted"),
        (replace(STANDING, desk=replace(DESK, halted=True, halt_reduce_only=True)), True, None),
        (replace(STANDING, desk=replace(DESK, halt_reduce_only=True)), False, None),
        (replace(STANDING, account=limited(armed=False)), True, "missiondesk arm trader"),
        (
            replace(STANDING, account=limited(exchange="elsewhere")),
            True,
            "trades at elsewhere, not at little",
        ),
        (replace(STANDING, mission=None), True, "no longer exists"),
        (replace(STANDING, mission=replace(MISSION, enabled=False)), True, "disabled"),
        (replace(STANDING, mission=replace(MISSION, open=False)), True, "ended"),
    ],
)
def test_who_may_send_at_all(standing: Standing, reduces: bool, because: str | None) -> None:
    said = refusal(REQUEST, standing, reduces=reduces)
    assert (said is None) == (because is None)
    assert (because or "") in (said or "")


def test_a_paper_order_needs_no_armed_account() -> None:
    unarmed = replace(STANDING, account=limited(armed=False))
    assert refusal(replace(REQUEST, mode="paper"), unarmed, reduces=False) is None


def test_exposure_adds_all_markets_of_the_quote_currency() -> None:
    book = [
        order(),
        order(symbol="ETH/USD", amount=10, average=Decimal(9)),
        order(symbol="ETH/BTC", amount=99),
    ]
    marks = {
        MARKET: Mark(BITCOIN, Decimal(110)),
        (ETHER.exchange, ETHER.symbol): Mark(ETHER, Decimal(10)),
    }
    found = activity(Draft(BITCOIN, "buy", Decimal(2), Decimal(120)), book_of(book), marks, 3)
    assert found == Activity(
        notional=Decimal(240),
        orders_last_minute=3,
        exposure_before=Decimal(220),
        exposure_after=Decimal(460),
        day_gain=Decimal(20),
    )


@pytest.mark.parametrize(
    ("opening", "price", "gained"),
    [(100, 110, 8), (150, 110, -42), (110, 110, -2)],
    ids=["risen since midnight", "fallen since midnight, bought below", "not moved"],
)
def test_a_day_counts_what_was_carried_over_from_its_opening_price(
    opening: int, price: int, gained: int
) -> None:
    """One bitcoin carried over, one sold of it for the price now, another bought and sold; a fee of 2."""
    book = book_of(
        [
            order(average=Decimal(price)),
            order(side="sell", average=Decimal(price)),
            order(status="open", fee=Decimal(2)),
        ],
        {MARKET: Carried(Decimal(-2), lowest=Decimal(-3))},
    )
    marks = {MARKET: Mark(BITCOIN, Decimal(price), Decimal(opening))}
    draft = Draft(BITCOIN, "sell", Decimal(1), Decimal(price))
    assert activity(draft, book, marks, 0).day_gain == gained


def test_a_holding_without_its_opening_price_is_not_guessed() -> None:
    account = limited(max_daily_loss=Decimal(10**6))
    book = Book((), {MARKET: Carried(Decimal(1))})
    for opening, denied in ((None, True), (Decimal(100), False)):
        marks = {MARKET: Mark(BITCOIN, Decimal(100), opening)}
        terms = Terms(BITCOIN, None, Means(Decimal(100)), marks, frozenset({MARKET}), MIDNIGHT)
        decision = decide(REQUEST, Send(0), terms, Snapshot(replace(STANDING, account=account), 0, (), book))
        assert isinstance(decision, Denied) == denied


def test_resting_reducing_orders_leave_less_to_reduce() -> None:
    book = [
        order(amount=5),
        order(amount=2, side="sell", status="open", filled="0.5", reduce_only=True),
        order(amount=1, side="sell", status="open"),
    ]
    assert reducible(book, BITCOIN, "sell") == Decimal(3)
    assert reducible(book, BITCOIN, "buy") == 0


def test_what_rests_is_no_longer_there_to_sell() -> None:
    book = [order(amount=5), order(amount=2, side="sell", status="open", filled="0.5")]
    assert unsold(book, BITCOIN) == Decimal(3)
    assert unsold([*book, order(amount=4, side="sell", status="unknown")], BITCOIN) == 0


def test_what_was_not_priced_is_not_guessed() -> None:
    account = limited(max_open_exposure=Decimal(10**6))
    terms = Terms(BITCOIN, None, Means(Decimal(100)), {}, frozenset({MARKET}), MIDNIGHT)
    snapshot = Snapshot(replace(STANDING, account=account), 0, (), book_of([order(symbol="ETH/USD")]))
    denied = decide(REQUEST, Send(0), terms, snapshot)
    assert isinstance(denied, Denied)
    assert "changed at this moment" in denied.reason


@pytest.mark.parametrize(("remainder", "held"), [("0.0009", "9"), ("0.5", "0.0001")])
def test_a_remainder_below_the_minimum_is_done(remainder: str, held: str) -> None:
    request = replace(REQUEST, side="sell", reduce_only=True)
    terms = Terms(BITCOIN, None, Means(Decimal(100), free={"BTC": Decimal(9)}))
    snapshot = Snapshot(STANDING, 0, [order(amount=held)], Book())
    assert decide(request, Send(1, Decimal(remainder)), terms, snapshot) == Done()


@dataclass(frozen=True)
class Move:
    """Wait, then ask for an order, which fills or rests; or, with no amount, let all that rest fill."""

    seconds: int
    amount: Decimal
    side: Side
    limit: Decimal | None
    rests: bool


moves = st.lists(
    st.builds(
        Move,
        seconds=st.integers(0, 40),
        amount=st.decimals(min_value=0, max_value=30, places=1),
        side=st.sampled_from(["buy", "sell"]),
        limit=st.none() | st.decimals(min_value=60, max_value=110, places=0),
        rests=st.booleans(),
    ),
    max_size=30,
)
PRICE = Decimal(100)


@given(moves, st.booleans())
def test_no_sequence_of_orders_passes_a_limit(sequence: list[Move], contracts: bool) -> None:
    instrument = replace(BITCOIN, is_contract=contracts)
    account = limited(
        max_order_notional=Decimal(2000), max_open_exposure=Decimal(5000), max_orders_per_minute=3
    )
    marks = {MARKET: Mark(instrument, PRICE)}
    book: list[Order] = []
    sent: list[datetime] = []
    now = NOON
    for move in sequence:
        now += timedelta(seconds=move.seconds)
        if move.amount == 0:
            book = [
                made.model_copy(update={"status": OrderStatus.FILLED, "filled": made.amount}) for made in book
            ]
            continue
        request = replace(REQUEST, amount=move.amount, side=move.side, price=move.limit)
        terms = Terms(
            instrument,
            move.limit,
            Means(move.limit or PRICE),
            marks,
            frozenset({MARKET}),
            MIDNIGHT,
            bid=PRICE if move.side == "sell" else Decimal(0),
        )
        recent = sum(at > now - timedelta(minutes=1) for at in sent)
        snapshot = Snapshot(replace(STANDING, account=account), recent, book, book_of(book))
        decided = decide(request, Send(0), terms, snapshot)
        if isinstance(decided, Denied):
            continue
        assert isinstance(decided, Decided)
        amount, limit = decided.amount, move.limit or PRICE
        if decided.reduces:
            resting = sum(made.remaining for made in book if made.side == "sell")
            assert not contracts and move.side == "sell"
            assert amount + resting <= holding_after(book, instrument).amount
        else:
            assert amount * (limit if move.side == "buy" else max(limit, PRICE)) <= 2000
        status = "open" if move.rests else "filled"
        book.append(order(amount=amount, side=move.side, status=status, price=move.limit, average=PRICE))
        sent.append(now)
        assert sum(at > now - timedelta(minutes=1) for at in sent) <= 3
        bought = holding_after(book, instrument).amount
        assert abs(bought) * PRICE <= 5000
