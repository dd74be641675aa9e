"""Contracts on paper: margin, profit in the settlement currency, and orders that only reduce."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from missiondesk.exchanges.paper import PaperExchange
from missiondesk.store.database import connect
from models.account import Account
from models.errors import OrderRejected
from models.market import Instrument, Level, Side
from models.order import ExchangeOrder, Position
from tests.tape_venue import BITCOIN, NOON, Hand, TapeVenue, a_trade

LINEAR = replace(
    BITCOIN,
    symbol="BTC/USD:USD",
    is_contract=True,
    settle="USD",
    contract_size=Decimal("0.01"),
    lot=Decimal(1),
    min_amount=Decimal(1),
    min_cost=Decimal(0),
)
INVERSE = replace(LINEAR, symbol="BTC/USD:BTC-260327", inverse=True, settle="BTC", contract_size=Decimal(100))
FIRST = {"USD": Decimal(2000), "BTC": Decimal(5)}
FEE = Decimal("0.004")


@dataclass
class Paper:
    """One account in a market whose price the test sets; its book is deep and has no spread."""

    engine: Engine
    instrument: Instrument
    account: str = "one"
    price: Decimal = Decimal(10_000)

    def __post_init__(self) -> None:
        self.hand = Hand()
        self.venue = TapeVenue([], self.hand, instrument_list=(self.instrument,))
        self.move(self.price)
        owner = Account(name=self.account, paper_balances=FIRST)
        self.exchange = PaperExchange(self.engine, owner, self.venue, self.hand)

    def move(self, price: Decimal | int) -> None:
        """The market trades there from now on."""
        self.price = Decimal(price)
        self.hand.advance(1)
        trade = replace(a_trade(self.hand(), str(price), "10000"), symbol=self.instrument.symbol)
        self.venue.tape = [*self.venue.tape, trade]
        self.venue.book = ((Level(self.price, Decimal(10**6)),), (Level(self.price, Decimal(10**6)),))
        self.hand.advance(1)

    def place(self, side: Side, amount: int, price: int | None = None, **more: Any) -> ExchangeOrder:
        if "leverage" in more:
            more["leverage"] = Decimal(more["leverage"])
        return self.exchange.place(
            client_order_id=uuid4().hex,
            symbol=self.instrument.symbol,
            side=side,
            type="market" if price is None else "limit",
            amount=Decimal(amount),
            price=None if price is None else Decimal(price),
            deadline=self.hand() + timedelta(seconds=20),
            **more,
        )

    def found(self, order: ExchangeOrder) -> ExchangeOrder:
        found = self.exchange.find(order.client_order_id or "", order.symbol, since=NOON)
        assert found is not None
        return found

    def owns(self, currency: str | None = None) -> Decimal:
        return self.exchange.balances()[currency or self.instrument.settle or ""][1]

    def free(self) -> Decimal:
        return self.exchange.balances()[self.instrument.settle or ""][0]

    def position(self) -> Position | None:
        positions = self.exchange.positions()
        return positions[0] if positions else None


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = connect(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def linear(engine: Engine) -> Paper:
    return Paper(engine, LINEAR)


@pytest.fixture
def inverse(engine: Engine) -> Paper:
    return Paper(engine, INVERSE)


def test_opening_sets_the_margin_aside_and_pays_the_fee(linear: Paper) -> None:
    order = linear.place("buy", 30, leverage=5)
    assert (order.status, order.filled, order.average) == ("closed", 30, 10_000)
    assert (order.cost, order.fee) == (3000, 3000 * FEE)
    assert linear.owns() == 2000 - 12
    assert linear.free() == 2000 - 12 - 600
    assert linear.position() == Position("BTC/USD:USD", Decimal(30), Decimal(10_000), leverage=Decimal(5))


def test_an_inverse_position_is_margined_and_paid_in_the_base_coin(inverse: Paper) -> None:
    order = inverse.place("sell", 100, leverage=2)
    assert (order.average, order.cost, order.fee) == (10_000, 10_000, 10_000 * FEE)
    assert inverse.owns() == 5 - FEE
    assert inverse.free() == 5 - FEE - Decimal("0.5")
    inverse.move(8000)
    position = inverse.position()
    assert position is not None
    assert (position.amount, position.unrealised, position.leverage) == (-100, Decimal("0.25"), 2)
    closed = inverse.place("buy", 100, reduce_only=True)
    assert closed.fee == 10_000 * FEE
    assert inverse.owns() == inverse.free() == 5 - FEE + Decimal("0.25") - FEE * Decimal("1.25")
    assert inverse.owns("USD") == 2000
    assert inverse.position() is None


@pytest.mark.parametrize(("side", "price", "earned"), [("buy", 11_000, 300), ("sell", 11_000, -300)])
def test_profit_and_loss_are_paid_when_the_position_is_closed(
    linear: Paper, side: Side, price: int, earned: int
) -> None:
    linear.place(side, 30, leverage=5)
    linear.move(price)
    position = linear.position()
    assert position is not None
    assert position.unrealised == earned
    before = linear.owns()
    linear.place("sell" if side == "buy" else "buy", 15, reduce_only=True)
    half = linear.position()
    assert half is not None
    assert (abs(half.amount), half.entry_price, half.unrealised) == (15, 10_000, earned // 2)
    assert linear.owns() == before + earned // 2 - 15 * 110 * FEE
    assert linear.free() == linear.owns() - 300


def test_all_missions_of_the_account_share_the_position(engine: Engine, linear: Paper) -> None:
    linear.place("buy", 10)
    again = PaperExchange(
        engine, Account(name="one", paper_balances={"USD": Decimal(9)}), linear.venue, linear.hand
    )
    assert [position.amount for position in again.positions()] == [10]
    other = PaperExchange(engine, Account(name="other", paper_balances=FIRST), linear.venue, linear.hand)
    assert other.positions() == []


def test_each_order_brings_its_own_leverage(linear: Paper) -> None:
    linear.place("buy", 10, leverage=10)
    linear.place("buy", 10, leverage=2)
    position = linear.position()
    assert position is not None
    assert position.leverage == Decimal("3.33")
    assert linear.owns() - linear.free() == 100 + 500


@pytest.mark.parametrize(("amount", "leverage"), [(100, 1), (1000, 10), (20, 1)])
def test_more_than_the_free_margin_carries_is_refused(linear: Paper, amount: int, leverage: int) -> None:
    linear.place("buy", 1)
    before = linear.exchange.balances()
    with pytest.raises(OrderRejected, match="insufficient funds"):
        linear.place("buy", amount, leverage=leverage)
    with pytest.raises(OrderRejected, match="insufficient funds"):
        linear.place("sell", amount, 11_000, leverage=leverage)
    assert linear.exchange.balances() == before


def test_what_only_reduces_needs_no_margin(linear: Paper) -> None:
    linear.place("buy", 370, leverage=20)
    linear.move(9900)
    assert linear.free() < 50
    resting = linear.place("sell", 100, 12_000, reduce_only=True)
    assert linear.free() == linear.owns() - 1850
    linear.exchange.cancel(resting)
    assert linear.place("sell", 370).status == "closed"
    assert linear.position() is None


class TestReducing:
    def test_closing_more_than_there_is_closes_what_there_is(self, linear: Paper) -> None:
        linear.place("buy", 10)
        order = linear.place("sell", 25, reduce_only=True)
        assert (order.status, order.filled) == ("cancelled", 10)
        assert linear.position() is None

    @pytest.mark.parametrize("price", [None, 11_000])
    @pytest.mark.parametrize("held", [None, "sell"])
    def test_nothing_to_reduce_is_refused(self, linear: Paper, held: Side | None, price: int | None) -> None:
        if held is not None:
            linear.place(held, 5)
        with pytest.raises(OrderRejected, match="no position in BTC/USD:USD that a sell would reduce"):
            linear.place("sell", 5, price, reduce_only=True)

    def test_resting_ones_together_never_turn_the_position(self, linear: Paper) -> None:
        linear.place("buy", 10)
        orders = [linear.place("sell", 8, 10_500, reduce_only=True) for _ in range(3)]
        linear.move(10_600)
        found = [linear.found(order) for order in orders]
        assert [(order.status, order.filled) for order in found] == [
            ("closed", 8),
            ("cancelled", 2),
            ("cancelled", 0),
        ]
        assert linear.position() is None

    def test_without_the_mark_an_order_turns_the_position(self, linear: Paper) -> None:
        linear.place("buy", 3)
        linear.place("sell", 5)
        position = linear.position()
        assert position is not None
        assert position.amount == -2


def test_a_resting_order_holds_its_margin_until_it_fills(linear: Paper) -> None:
    order = linear.place("sell", 20, 12_000, leverage=4)
    assert (order.status, order.filled) == ("open", 0)
    held = 20 * 120 * (Decimal("0.25") + LINEAR.maker)
    assert (linear.owns(), linear.free()) == (2000, 2000 - held)
    linear.move(12_500)
    filled = linear.found(order)
    assert (filled.status, filled.average, filled.fee) == ("closed", 12_000, 2400 * LINEAR.maker)
    assert linear.free() == 2000 - held
    position = linear.position()
    assert position is not None
    assert (position.amount, position.entry_price, position.unrealised) == (-20, 12_000, -100)


def test_no_loss_takes_more_than_the_wallet_has(linear: Paper) -> None:
    linear.place("buy", 190, leverage=20)
    linear.move(5000)
    order = linear.place("sell", 190, reduce_only=True)
    assert order.status == "closed"
    assert linear.exchange.balances()["USD"] == (0, 0)
    with pytest.raises(OrderRejected, match="insufficient funds"):
        linear.place("buy", 1)


def test_a_delivered_future_locks_nothing_up_but_itself(linear: Paper) -> None:
    linear.place("buy", 3)
    resting = linear.place("buy", 1, 9000)
    linear.venue.instrument_list = (BITCOIN,)
    assert [position.amount for position in linear.exchange.positions()] == [3]
    assert linear.exchange.cancel(resting).status == "cancelled"
    assert linear.free() == linear.owns() - 300


def check_books(paper: Paper) -> None:
    """What is owned is what was there and what the orders settled; what is held is what rests."""
    of_account = {"account": paper.account}
    with paper.engine.execution_options(isolation_level="REPEATABLE READ").begin() as connection:
        balances = connection.execute(
            text("SELECT currency, total, held FROM paper_balance WHERE account = :account"), of_account
        ).all()
        orders = connection.execute(
            text("SELECT * FROM paper_order WHERE account = :account"), of_account
        ).all()
        position = connection.execute(
            text("SELECT amount, margin FROM paper_position WHERE account = :account"), of_account
        ).one_or_none()
    settle = paper.instrument.settle or ""
    owned, held = {currency: total for currency, total, _ in balances}, {row[0]: row[2] for row in balances}
    assert owned == FIRST | {settle: FIRST[settle] + sum(order.settled for order in orders)}
    assert held[settle] == sum(order.held for order in orders)
    assert all(order.held == 0 for order in orders if order.status != "open" or order.reduce_only)
    net = sum(order.filled if order.side == "buy" else -order.filled for order in orders)
    assert net == (position.amount if position else 0)
    assert paper.free() >= (-(position.margin if position else 0))


sides = st.sampled_from(["buy", "sell"])
steps = st.one_of(
    st.tuples(
        st.just("place"),
        sides,
        st.integers(1, 60),
        st.none() | st.integers(95, 105).map(lambda hundreds: hundreds * 100),
        st.booleans(),
        st.integers(1, 20),
    ),
    st.tuples(st.just("move"), st.integers(9000, 11_000)),
    st.tuples(st.just("cancel"), st.integers(0, 5)),
)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([LINEAR, INVERSE]), st.lists(steps, max_size=15))
def test_whatever_is_traded_the_books_balance_and_closing_never_turns_a_position(
    engine: Engine, instrument: Instrument, asked: list[tuple[Any, ...]]
) -> None:
    paper = Paper(engine, instrument, uuid4().hex)
    placed: list[ExchangeOrder] = []
    paper.exchange.balances()
    for step in asked:
        before = paper.position()
        with suppress(OrderRejected):
            match step:
                case ("place", side, amount, price, reduces, leverage):
                    placed.append(paper.place(side, amount, price, reduce_only=reduces, leverage=leverage))
                    after = paper.position()
                    if reduces:
                        assert before is not None
                        assert after is None or 0 < after.amount / before.amount <= 1
                case ("move", price):
                    paper.move(price)
                case ("cancel", number) if number < len(placed):
                    paper.exchange.cancel(placed[number])
        check_books(paper)
