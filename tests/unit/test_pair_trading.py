"""One market leads, the other covers: whatever fills, is refused, rests or takes too long."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from missiondesk.feeds.board import Board, Place
from missiondesk.orders.strategy import Wanted
from missiondesk.strategies.depth import mean_price
from missiondesk.strategies.hedge import HedgeRules, HedgeTriggers
from missiondesk.strategies.legs import Leg, Legs
from missiondesk.strategies.pair_trading import MOST_TAKER_ERRORS, PairTrading
from models.errors import ExchangeUnreachable
from models.market import Instrument, Level, OrderBook
from models.order import Order, OrderStatus
from models.quote import Quote

START = datetime(2026, 1, 2, tzinfo=UTC)
SPOT = Instrument(
    exchange="kraken",
    symbol="BTC/USD",
    base="BTC",
    quote="USD",
    lot=Decimal("0.01"),
    tick=Decimal("0.1"),
    min_amount=Decimal("0.02"),
    min_cost=Decimal(0),
    maker=Decimal(0),
    taker=Decimal(0),
)
FUTURE = replace(
    SPOT,
    exchange="okx",
    symbol="BTC/USD:BTC-260327",
    lot=Decimal(1),
    min_amount=Decimal(1),
    is_contract=True,
    inverse=True,
    contract_size=Decimal(100),
    settle="BTC",
)
LEAD, COVER = Leg("okx", FUTURE), Leg("paper", SPOT)
CHEAP, DEAR = Decimal(10_000), Decimal(10_200)


@dataclass
class Script:
    """A Trader that does as it is told. `cover_fills` says what becomes of each order at market."""

    cover_fills: Callable[[Decimal], Decimal | Exception] = lambda amount: amount
    lead_fills: list[Decimal] = field(default_factory=list)
    """How many contracts are filled in all at each further look at the lead's order."""
    problems: dict[Place, str] = field(default_factory=dict)
    books: dict[Place, OrderBook] = field(default_factory=dict)
    sent: list[Wanted] = field(default_factory=list)
    orders: dict[str, Order] = field(default_factory=dict)
    now: datetime = START

    def place(self, wanted: Wanted) -> Order:
        self.sent.append(wanted)
        instrument = FUTURE if wanted.exchange == "okx" else SPOT
        amount = wanted.amount
        if wanted.unit == "base" and instrument.is_contract:
            amount = wanted.amount * DEAR // instrument.contract_size
        order = Order(
            client_order_id=f"{len(self.sent)}",
            account=wanted.account,
            exchange=wanted.exchange,
            symbol=wanted.symbol,
            side=wanted.side,
            type="market" if wanted.price is None else "limit",
            amount=amount,
            price=wanted.price,
            mode="paper",
            status=OrderStatus.OPEN,
            created_at=self.now,
            updated_at=self.now,
        )
        if wanted.price is not None:
            return self._shown(order)
        filled = self.cover_fills(amount)
        if isinstance(filled, Exception):
            raise filled
        done = OrderStatus.FILLED if filled == amount else OrderStatus.CANCELLED
        return self._shown(order, status=done, filled=filled, average=CHEAP)

    def follow(self, order: Order) -> Order:
        filled = self.lead_fills.pop(0) if self.lead_fills else order.filled
        done = OrderStatus.FILLED if filled == order.amount else OrderStatus.OPEN
        return self._shown(order, status=done, filled=filled, average=order.price)

    def cancel(self, order: Order, reason: str) -> Order:
        seen = self.follow(order)
        if seen.status is OrderStatus.FILLED:
            return seen
        return self._shown(seen, status=OrderStatus.CANCELLED, reason=reason)

    def order_book(self, place: Place) -> OrderBook | None:
        return self.books.get(place)

    def problem(self, place: Place) -> str | None:
        return self.problems.get(place)

    def _shown(self, order: Order, **news: object) -> Order:
        self.orders[order.client_order_id] = order.model_copy(update=news)
        return self.orders[order.client_order_id]


@dataclass
class Session:
    """A hedge that opens at a premium of 1 % and closes at 0.1 %, and the seconds that pass."""

    script: Script = field(default_factory=Script)
    amount: Decimal = Decimal(1)

    def __post_init__(self) -> None:
        rules = HedgeRules(
            LEAD.place, COVER.place, HedgeTriggers(open_at=Decimal("0.01"), close_at=Decimal("0.001"))
        )
        self.strategy = PairTrading(
            rules, Legs(LEAD, COVER), self.amount, self.script, patience=timedelta(seconds=30)
        )
        self.board = Board()
        self.said: list[str] = []

    def second(self, index: Decimal = DEAR, count: int = 1) -> None:
        for _ in range(count):
            self.script.now += timedelta(seconds=1)
            for place, price in ((LEAD.place, index), (COVER.place, CHEAP)):
                self.board.put(Quote(*place, price, None, price, None, self.script.now, self.script.now))
            reports = self.strategy.work(self.board, self.script.now)
            self.said += [report.text for report in reports]

    @property
    def uncovered(self) -> Decimal:
        held = self.strategy.held
        return LEAD.base(held.lead) + COVER.base(held.cover)


def test_what_a_maker_fills_is_covered_as_it_fills_and_closed_again() -> None:
    session = Session(Script(lead_fills=[Decimal(0), Decimal(51), Decimal(102), Decimal(0), Decimal(102)]))
    session.second(count=4)
    assert [(wanted.exchange, wanted.side, wanted.price) for wanted in session.script.sent] == [
        ("okx", "sell", DEAR),
        ("kraken", "buy", None),
        ("kraken", "buy", None),
    ]
    assert session.uncovered == 0
    assert session.strategy.held.cover.amount == 1
    session.second(CHEAP, count=3)
    assert [(wanted.exchange, wanted.side, wanted.reduce_only) for wanted in session.script.sent[3:]] == [
        ("okx", "buy", True),
        ("kraken", "sell", True),
    ]
    assert session.script.sent[3].unit == "contracts"
    assert session.strategy.held.lead.amount == session.strategy.held.cover.amount == 0
    assert session.said[-1].startswith("closed: earned ")
    assert session.strategy.earned == pytest.approx(Decimal(200), abs=Decimal("0.1"))


@given(st.lists(st.integers(0, 102), max_size=25), st.lists(st.decimals(0, 1, places=2), max_size=25))
def test_less_than_can_be_ordered_is_left_uncovered_whatever_is_filled(
    fills: list[int], shares: list[Decimal]
) -> None:
    """The cover fills in parts too, and the rest of it is asked for again."""

    def part(amount: Decimal) -> Decimal:
        share = max(shares.pop(), Decimal("0.3")) if shares else Decimal(1)
        return max(amount * share // SPOT.lot * SPOT.lot, SPOT.lot)

    session = Session(Script(part, [Decimal(fill) for fill in sorted(fills)]))
    session.second(count=29)
    held = session.strategy.held
    assert held.lead.amount == -(max(fills) if fills else 0)
    session.script.lead_fills = []
    session.second(CHEAP, count=29)
    assert abs(session.uncovered) < SPOT.min_amount
    assert not session.strategy.stopped


def test_what_rests_too_long_is_cancelled_and_asked_for_anew() -> None:
    session = Session()
    session.second(count=31)
    assert len(session.script.sent) == 1
    assert "not filled within 30 s" in session.said[-1]
    session.second(count=6)
    assert len(session.script.sent) == 2


def test_what_has_lost_its_reason_is_cancelled_at_once() -> None:
    session = Session(Script(lead_fills=[Decimal(40)]))
    session.second()
    session.second(CHEAP)
    assert "cancelled, 40 filled at 10200, what it was for is gone" in session.said[-2]
    assert session.strategy.held.lead.amount == -40
    assert abs(session.uncovered) < SPOT.lot


def test_an_order_that_filled_before_it_could_be_cancelled_is_no_error() -> None:
    session = Session(Script(lead_fills=[Decimal(102)]))
    session.second()
    session.second(CHEAP)
    assert "filled, 102 filled" in session.said[-2]
    assert session.uncovered == 0


@given(st.lists(st.booleans(), max_size=12))
def test_five_failures_in_a_row_stop_it(successes: list[bool]) -> None:
    outcomes = iter(successes)
    tried: list[bool] = []

    def fill(amount: Decimal) -> Decimal | Exception:
        tried.append(next(outcomes, False))
        return Decimal("0.02") if tried[-1] else ExchangeUnreachable("kraken does not answer")

    session = Session(Script(fill, [Decimal(102)]))
    session.second(count=200)
    assert session.strategy.stopped
    assert tried[-MOST_TAKER_ERRORS:] == [False] * MOST_TAKER_ERRORS
    runs = "".join("x" if not success else "." for success in tried)
    assert "x" * MOST_TAKER_ERRORS not in runs[:-1]
    assert "stopped after 5 failures to cover: buy " in session.said[-1]
    sent = len(session.script.sent)
    session.second(count=60)
    assert len(session.script.sent) == sent


def test_a_bad_market_is_not_traded_and_that_is_said_once() -> None:
    session = Session()
    session.script.problems = {COVER.place: "kraken:BTC/USD is left alone"}
    session.second(count=5)
    assert session.said == ["kraken:BTC/USD is left alone"]
    assert session.script.sent == []
    session.script.problems = {}
    session.second()
    assert len(session.script.sent) == 1


def test_a_book_that_does_not_hold_the_amount_is_left_alone() -> None:
    def book(place: Place, price: Decimal, amount: str) -> OrderBook:
        level = (Level(price, Decimal(amount)),)
        return OrderBook(*place, level, level, START)

    session = Session()
    session.script.books = {
        LEAD.place: book(LEAD.place, DEAR, "102"),
        COVER.place: book(COVER.place, CHEAP, "0.9"),
    }
    session.second()
    assert session.said == ["the books do not hold 1 at such prices"]
    session.script.books[COVER.place] = book(COVER.place, CHEAP, "1")
    session.second(count=6)
    assert len(session.script.sent) == 1


def test_the_mean_price_of_an_amount() -> None:
    levels = [Level(Decimal(100), Decimal(1)), Level(Decimal(101), Decimal(3))]
    assert mean_price(levels, Decimal(2), COVER) == Decimal("100.5")
    assert mean_price(levels, Decimal(5), COVER) is None
    contracts = [Level(Decimal(100), Decimal(1)), Level(Decimal(200), Decimal(2))]
    assert mean_price(contracts, Decimal(2), LEAD) == Decimal(150)


def test_a_run_goes_on_with_what_it_holds() -> None:
    first = Session(Script(lead_fills=[Decimal(102)]))
    first.second(count=2)
    again = PairTrading(
        HedgeRules(LEAD.place, COVER.place, HedgeTriggers(Decimal("0.01"), Decimal("0.001"))),
        Legs(LEAD, COVER),
        Decimal(1),
        first.script,
        patience=timedelta(seconds=30),
        orders=first.script.orders.values(),
    )
    assert again.held == first.strategy.held
    assert again.work(first.board, first.script.now) == []
