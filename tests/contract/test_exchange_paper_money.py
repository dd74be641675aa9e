"""Paper money: none is made or lost and none is negative, whoever asks at the same time, whatever dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from missiondesk.exchanges.paper import PaperExchange
from missiondesk.store.database import connect
from models.account import Account
from models.errors import OrderRejected
from models.market import Instrument, Level, Side
from models.order import ExchangeOrder
from tests.tape_venue import BITCOIN, NOON, SYMBOL, Hand, TapeVenue, a_trade

FIRST = {"USD": Decimal(1000), "BTC": Decimal(5)}
BOOK = (
    (Level(Decimal(99), Decimal(1)), Level(Decimal(98), Decimal(2))),
    (Level(Decimal(101), Decimal(1)), Level(Decimal(102), Decimal(2))),
)
TAPE = [
    a_trade(NOON + timedelta(seconds=7 * place), str(100 + (place * 13) % 17 - 8), "3")
    for place in range(400)
]


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = connect(database_url)
    yield engine
    engine.dispose()


def paper(engine: Engine, hand: Hand, account: str, instrument: Instrument = BITCOIN) -> PaperExchange:
    venue = TapeVenue(TAPE, hand, book=BOOK, instrument_list=(instrument,))
    return PaperExchange(engine, Account(name=account, paper_balances=FIRST), venue, hand)


def place(
    exchange: PaperExchange,
    hand: Hand,
    side: Side,
    amount: str,
    price: str | None = None,
    client_order_id: str | None = None,
) -> ExchangeOrder:
    return exchange.place(
        client_order_id=client_order_id or uuid4().hex,
        symbol=SYMBOL,
        side=side,
        type="market" if price is None else "limit",
        amount=Decimal(amount),
        price=None if price is None else Decimal(price),
        deadline=hand() + timedelta(seconds=20),
    )


def check_books(engine: Engine, account: str) -> None:
    """What is owned is what was first there and what the orders moved; what is held is what rests."""
    with engine.execution_options(isolation_level="REPEATABLE READ").begin() as connection:
        of_account = {"account": account}
        balances = connection.execute(
            text("SELECT currency, total, held FROM paper_balance WHERE account = :account"), of_account
        ).all()
        orders = connection.execute(
            text("SELECT * FROM paper_order WHERE account = :account"), of_account
        ).all()
    total, held = dict(FIRST), {"USD": Decimal(0), "BTC": Decimal(0)}
    for order in orders:
        assert 0 <= order.filled <= order.amount
        sign = 1 if order.side == "buy" else -1
        total["BTC"] += sign * order.filled
        total["USD"] -= sign * order.cost + order.fee
        if order.status == "open":
            remaining = order.amount - order.filled
            if order.side == "sell":
                held["BTC"] += remaining
            else:
                held["USD"] += remaining * order.price * (1 + order.fee_rate)
    assert {currency: amount for currency, amount, _ in balances} == total
    assert {currency: amount for currency, _, amount in balances} == held
    assert all(0 <= balance.held <= balance.total for balance in balances)


def test_the_wallet_is_filled_once(engine: Engine) -> None:
    hand = Hand()
    place(paper(engine, hand, "one"), hand, "buy", "0.5")
    again = PaperExchange(engine, Account(name="one", paper_balances={"USD": 9}), TapeVenue(TAPE, hand), hand)
    assert again.balances()["BTC"] == (Decimal("5.5"), Decimal("5.5"))


def test_accounts_own_their_own_money(engine: Engine) -> None:
    hand = Hand()
    place(paper(engine, hand, "one"), hand, "buy", "0.5")
    assert paper(engine, hand, "other").balances()["BTC"] == (Decimal(5), Decimal(5))


def test_a_market_order_walks_the_book_and_pays_the_taker_fee(engine: Engine) -> None:
    hand = Hand()
    order = place(paper(engine, hand, "one"), hand, "buy", "2.5")
    cost = Decimal(1) * 101 + Decimal("1.5") * 102
    assert (order.status, order.filled, order.cost) == ("closed", Decimal("2.5"), cost)
    assert (order.fee, order.average) == (cost * Decimal("0.004"), cost / Decimal("2.5"))
    check_books(engine, "one")


def test_what_the_book_does_not_hold_is_cancelled(engine: Engine) -> None:
    hand = Hand()
    order = place(paper(engine, hand, "one"), hand, "sell", "4")
    assert (order.status, order.filled) == ("cancelled", Decimal(3))
    check_books(engine, "one")


def test_placing_an_id_again_gives_the_first_order_and_moves_nothing(engine: Engine) -> None:
    hand = Hand()
    exchange = paper(engine, hand, "one")
    for price in (None, "90"):
        id = uuid4().hex
        first = place(exchange, hand, "buy", "0.5", price, client_order_id=id)
        before = exchange.balances()
        assert place(exchange, hand, "buy", "0.5", price, client_order_id=id) == first
        assert exchange.balances() == before


def test_an_id_of_another_account_is_refused(engine: Engine) -> None:
    hand = Hand()
    order = place(paper(engine, hand, "one"), hand, "buy", "0.5")
    with pytest.raises(OrderRejected, match="'one'"):
        place(paper(engine, hand, "other"), hand, "buy", "0.5", client_order_id=order.client_order_id)


def test_a_limit_order_never_fills_when_it_is_placed(engine: Engine) -> None:
    hand = Hand()
    order = place(paper(engine, hand, "one"), hand, "buy", "0.5", "200")
    assert (order.status, order.filled) == ("open", 0)


def test_a_limit_order_fills_by_a_share_of_what_goes_through_its_price(engine: Engine) -> None:
    hand = Hand()
    exchange = paper(engine, hand, "one")
    order = place(exchange, hand, "buy", "5", "95")
    filled = Decimal(0)
    for _ in range(12):
        hand.advance(10)
        found = exchange.find(order.client_order_id or "", SYMBOL, since=NOON)
        assert found is not None
        assert found.filled >= filled
        filled = found.filled
        check_books(engine, "one")
    assert 0 < filled < 5
    assert found.average == Decimal(95)
    assert found.fee == filled * 95 * Decimal("0.0025")
    through = sum(trade.amount for trade in TAPE if NOON < trade.at <= hand())
    assert filled <= through * Decimal("0.1")


def test_a_cancel_takes_the_fills_before_it(engine: Engine) -> None:
    hand = Hand()
    exchange = paper(engine, hand, "one")
    order = place(exchange, hand, "sell", "5", "105")
    hand.advance(60)
    final = exchange.cancel(order)
    assert final.status == "cancelled"
    assert 0 < final.filled < 5
    check_books(engine, "one")
    hand.advance(600)
    assert exchange.cancel(order) == final


def test_postgres_itself_refuses_a_wallet_that_is_not_covered(engine: Engine) -> None:
    hand = Hand()
    paper(engine, hand, "one").balances()
    with engine.connect() as connection, pytest.raises(IntegrityError):
        connection.execute(text("UPDATE paper_balance SET total = total - 5000"))


sides = st.sampled_from(["buy", "sell"])
amounts = st.decimals("0.1", "4", places=1).map(str)
steps = st.one_of(
    st.tuples(st.just("place"), st.integers(0, 9), sides, amounts, st.none() | st.integers(90, 110).map(str)),
    st.tuples(st.just("cancel"), st.integers(0, 9)),
    st.tuples(st.just("find"), st.integers(0, 9)),
    st.tuples(st.just("wait"), st.integers(1, 300)),
    st.tuples(st.just("look"), st.just(0)),
)


def take(step: tuple[object, ...], exchange: PaperExchange, hand: Hand, account: str) -> None:
    match step:
        case ("place", number, "buy" | "sell" as side, str(amount), price):
            with suppress(OrderRejected):
                place(exchange, hand, side, amount, price, client_order_id=f"{account}-{number}")  # type: ignore[arg-type]
        case ("cancel", number):
            found = exchange.find(f"{account}-{number}", SYMBOL, since=NOON)
            if found is not None:
                exchange.cancel(found)
        case ("find", number):
            exchange.find(f"{account}-{number}", SYMBOL, since=NOON)
        case ("wait", int(seconds)):
            hand.advance(seconds)
        case _:
            exchange.balances()


any_database = settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@any_database
@given(st.lists(steps, max_size=25))
def test_whatever_is_asked_the_books_balance(engine: Engine, asked: list[tuple[object, ...]]) -> None:
    hand, account = Hand(), uuid4().hex
    exchange = paper(engine, hand, account)
    exchange.balances()
    for step in asked:
        take(step, exchange, hand, account)
        check_books(engine, account)


@any_database
@given(st.lists(st.lists(steps, max_size=10), min_size=2, max_size=4))
def test_whoever_asks_at_the_same_time_the_books_balance(
    engine: Engine, asked: list[list[tuple[object, ...]]]
) -> None:
    hand, account = Hand(), uuid4().hex
    exchange = paper(engine, hand, account)

    def take_all(part: list[tuple[object, ...]]) -> None:
        for step in part:
            take(step, exchange, hand, account)

    with ThreadPoolExecutor(len(asked)) as pool:
        list(pool.map(take_all, asked))
    exchange.balances()
    check_books(engine, account)


def test_one_id_placed_by_many_at_once_is_one_order(engine: Engine) -> None:
    hand = Hand()
    exchange = paper(engine, hand, "one")
    with ThreadPoolExecutor(8) as pool:
        orders = list(
            pool.map(lambda _: place(exchange, hand, "buy", "0.5", client_order_id="the-one"), range(8))
        )
    assert len({order.exchange_order_id for order in orders}) == 1
    assert exchange.balances()["BTC"] == (Decimal("5.5"), Decimal("5.5"))


TRADER = """
import sys
from decimal import Decimal
from uuid import uuid4
from missiondesk.exchanges.paper import PaperExchange
from missiondesk.store.database import connect
from models.account import Account
from models.errors import OrderRejected
from models.market import Level
from tests.tape_venue import NOON, SYMBOL, Hand, TapeVenue, a_trade

hand, level = Hand(), Level(Decimal(100), Decimal(9))
venue = TapeVenue([a_trade(NOON)], hand, book=((level,), (level,)))
account = Account(name="one", paper_balances={"USD": Decimal(1000), "BTC": Decimal(5)})
exchange = PaperExchange(connect(sys.argv[1]), account, venue, hand)
print("trading", flush=True)
while True:
    for side, price in (("buy", None), ("sell", None), ("buy", Decimal(90)), ("sell", Decimal(110))):
        order = exchange.place(
            client_order_id=uuid4().hex, symbol=SYMBOL, side=side, type="limit" if price else "market",
            amount=Decimal("0.1"), price=price, deadline=hand(),
        )
        exchange.cancel(order)
"""


def test_a_trader_killed_at_any_moment_leaves_balanced_books(engine: Engine, database_url: str) -> None:
    root = Path(__file__).parents[2]
    for moment in range(5):
        with subprocess.Popen(
            [sys.executable, "-c", TRADER, database_url],
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root)},
            stdout=subprocess.PIPE,
            text=True,
        ) as trader:
            assert trader.stdout is not None
            assert trader.stdout.readline() == "trading\n"
            with suppress(subprocess.TimeoutExpired):
                trader.wait(0.3 + 0.037 * moment)
            assert trader.poll() is None
            trader.send_signal(signal.SIGKILL)
        check_books(engine, "one")
