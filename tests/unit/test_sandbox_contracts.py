"""The sandbox's futures: one core with the coins, books that balance, listings that roll, deliveries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from missiondesk.exchanges.sandbox.exchange import Exchange
from missiondesk.exchanges.sandbox.generator import Generator
from missiondesk.exchanges.sandbox.ids import bitmex_id, okx_id
from missiondesk.exchanges.sandbox.market import Staging
from missiondesk.exchanges.sandbox.okx_listing import instrument_id
from missiondesk.exchanges.sandbox.orders import OrderRequest, Refusal, RequestRefused
from missiondesk.exchanges.sandbox.pairs import STANDARD_SYMBOLS, Pair
from missiondesk.exchanges.sandbox.state import State
from missiondesk.exchanges.sandbox.venue import okx_venue
from missiondesk.market_names import Delivery, delivery_day, market_of

START = datetime(2026, 3, 2, 12, 0, 30, tzinfo=UTC)
NOW = START.timestamp()
SOURCE = Generator([Pair.listed(symbol) for symbol in STANDARD_SYMBOLS], seed=3)
FIRST = {"BTC": Decimal(2), "USDT": Decimal(50_000)}
WEEKLY = market_of("okex_future_btcusd_thisweek", START).symbol
LINEAR = "BTC/USDT:USDT"


def an_exchange(path: Path | None = None, now: float = NOW) -> Exchange:
    return okx_venue(SOURCE, State(path), FIRST, {}, lambda: now).exchange


def an_order(
    side: str, amount: int, price: Decimal | None = None, symbol: str = WEEKLY, **more: object
) -> OrderRequest:
    kind = "market" if price is None else "limit"
    return OrderRequest.model_validate(
        {"symbol": symbol, "side": side, "kind": kind, "amount": amount, "price": price, **more}
    )


def test_futures_and_coins_share_one_account_and_one_book_of_prices() -> None:
    exchange = an_exchange()
    exchange.place(an_order("buy", 100), NOW)
    held = exchange.held("BTC")
    assert held == pytest.approx(Decimal(10_000) / exchange.position(WEEKLY).entry_price)
    with pytest.raises(RequestRefused) as refused:
        exchange.place(
            OrderRequest(symbol="BTC/USDT", side="sell", kind="market", amount=Decimal("1.9")), NOW
        )
    assert refused.value.refusal is Refusal.INSUFFICIENT_FUNDS
    spot, future = (exchange.market.price(symbol, NOW) for symbol in ("BTC/USDT", WEEKLY))
    assert future == pytest.approx(spot * Decimal("1.001"), rel=Decimal("0.0001"))


def test_a_future_follows_its_coin_through_every_candle() -> None:
    market = an_exchange().market
    for minutes in (1, 60, 1440):
        coins, futures = (market.bars(symbol, minutes, NOW, 30) for symbol in ("BTC/USDT", LINEAR))
        assert (coins.close == futures.close).all()
        assert futures.volume[:-1] == pytest.approx(coins.volume[:-1] * 100)
        assert (futures.low <= futures.close).all() and (futures.close <= futures.high).all()


def test_what_the_names_stand_for_is_listed_on_any_day() -> None:
    exchange = an_exchange()
    for day in range(0, 400, 3):
        now = NOW + day * 86_400
        listed = {pair.symbol for pair in exchange.market.listing if pair.trades_at(now)}
        for coin in ("btc", "eth"):
            for delivery in Delivery:
                name = f"okex_future_{coin}usd_{delivery}"
                assert market_of(name, datetime.fromtimestamp(now, UTC)).symbol in listed


def test_at_its_delivery_a_future_is_settled_and_its_orders_end() -> None:
    exchange = an_exchange()
    exchange.place(an_order("buy", 100), NOW)
    resting = exchange.place(an_order("buy", 10, Decimal(20_000)), NOW)
    entry, owned = exchange.position(WEEKLY).entry_price, exchange.balances["BTC"]
    delivered = datetime.combine(
        delivery_day(Delivery.THIS_WEEK, START), datetime.min.time(), UTC
    ) + timedelta(hours=8)
    exchange.advance(delivered.timestamp() - 1)
    assert exchange.position(WEEKLY).amount == 100
    exchange.advance(delivered.timestamp())
    price = exchange.market.price(WEEKLY, delivered.timestamp())
    gain = Decimal(10_000) * (1 / entry - 1 / price)
    assert exchange.position(WEEKLY).amount == exchange.held("BTC") == 0
    assert exchange.balances["BTC"] - owned == pytest.approx(gain, abs=Decimal("0.00000001"))
    ended = exchange.order(resting.id)
    assert ended is not None
    assert (ended.status, ended.reason) == ("canceled", "Delivered")
    with pytest.raises(RequestRefused) as refused:
        exchange.place(an_order("buy", 1), delivered.timestamp())
    assert refused.value.refusal is Refusal.UNKNOWN_PAIR


def test_leverage_is_kept_for_the_market_and_refused_when_it_asks_for_too_much() -> None:
    exchange = an_exchange()
    exchange.set_leverage(WEEKLY, Decimal(10))
    exchange.place(an_order("buy", 5000), NOW)
    held = exchange.held("BTC")
    exchange.set_leverage(WEEKLY, Decimal(20))
    assert exchange.held("BTC") == pytest.approx(held / 2)
    with pytest.raises(RequestRefused):
        exchange.set_leverage(WEEKLY, Decimal(1))
    assert exchange.position(WEEKLY).leverage == 20


def test_resting_orders_that_only_reduce_end_when_there_is_nothing_left() -> None:
    exchange = an_exchange()
    price = exchange.market.price(WEEKLY, NOW)
    exchange.place(an_order("buy", 10), NOW)
    limit = (price * Decimal("1.05")).quantize(Decimal(1))
    ids = [exchange.place(an_order("sell", 8, limit, reduce_only=True), NOW).id for _ in range(3)]
    exchange.stage(WEEKLY, Staging(price=limit + 100, price_since=NOW + 1), NOW + 1)
    exchange.advance(NOW + 60)
    orders = [order for order in exchange.orders if order.id in ids]
    assert [(order.status, order.filled) for order in orders] == [
        ("closed", 8),
        ("canceled", 2),
        ("canceled", 0),
    ]
    assert exchange.position(WEEKLY).amount == 0


def test_everything_is_there_again_after_a_restart(tmp_path: Path) -> None:
    before = an_exchange(tmp_path / "state.sqlite")
    before.set_leverage(WEEKLY, Decimal(3))
    before.place(an_order("sell", 70), NOW)
    after = an_exchange(tmp_path / "state.sqlite", NOW + 60 * 86_400)
    assert after.positions == before.positions
    assert (after.orders, after.balances) == (before.orders, before.balances)
    after.advance(NOW + 60 * 86_400)
    assert after.position(WEEKLY).amount == 0


def test_ids_have_their_venue_s_shape_and_none_is_given_twice() -> None:
    okx = {okx_id("salt", prefix, number) for prefix in "OT" for number in range(200)}
    assert len(okx) == 400
    assert all(each.isdecimal() and len(each) == 19 for each in okx)
    assert len({bitmex_id(salt, "O", number) for salt in ("one", "two") for number in range(200)}) == 400
    assert instrument_id(an_exchange().market.listing[LINEAR]) == "BTC-USDT-SWAP"


orders = st.lists(
    st.tuples(
        st.sampled_from(["buy", "sell"]),
        st.integers(1, 400),
        st.none() | st.integers(-300, 300),
        st.booleans(),
        st.sampled_from([WEEKLY, LINEAR]),
    ),
    max_size=12,
)


@settings(deadline=None, max_examples=40)
@given(orders)
def test_whatever_is_traded_the_books_balance(asked: list[tuple[str, int, int | None, bool, str]]) -> None:
    exchange, now = an_exchange(), NOW
    for side, amount, offset, reduces, symbol in asked:
        now += 30
        price = None if offset is None else exchange.market.price(symbol, now) + offset
        before = exchange.position(symbol).amount
        try:
            exchange.place(an_order(side, amount, price, symbol, reduce_only=reduces), now)
        except RequestRefused:
            assert exchange.position(symbol).amount == before
        if reduces:
            assert 0 <= exchange.position(symbol).amount * before <= before * before
        exchange.advance(now + 20)
    for position in exchange.positions:
        contract = exchange.market.listing[position.symbol].contract
        assert contract is not None
        fills = [fill for fill in exchange.fills if fill.symbol == position.symbol]
        assert position.amount == sum(fill.amount if fill.side == "buy" else -fill.amount for fill in fills)
        money, price = (
            exchange.market.listing[position.symbol].money,
            exchange.market.price(position.symbol, now),
        )
        flow = sum((fill.cost if fill.side == "sell" else -fill.cost) for fill in fills)
        flow += contract.worth(position.amount, price)
        earned = (-flow if contract.inverse else flow) - sum(fill.fee for fill in fills)
        owned = exchange.balances[money] + position.gain(contract, price)
        assert owned == pytest.approx(FIRST[money] + earned, abs=Decimal("0.000001"))
