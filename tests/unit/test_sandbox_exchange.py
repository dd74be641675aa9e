"""The sandbox's exchange: what orders cost, who is filled when, and that its books always balance."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from missiondesk.exchanges.sandbox.access import CallCounter, CallLimit
from missiondesk.exchanges.sandbox.exchange import Exchange
from missiondesk.exchanges.sandbox.generator import Generator
from missiondesk.exchanges.sandbox.market import Market, Staging
from missiondesk.exchanges.sandbox.orders import OrderRequest, Refusal, RequestRefused
from missiondesk.exchanges.sandbox.pairs import Listing, Pair
from missiondesk.exchanges.sandbox.state import State

SYMBOL = "BTC/USD"
NOW = 1_795_316_600.0
SOURCE = Generator([Pair.listed(SYMBOL), Pair.listed("ETH/BTC")], seed=3)
FIRST = {"USD": Decimal(100_000), "BTC": Decimal(2)}


def an_exchange(path: Path | None = None) -> Exchange:
    return Exchange(Market(SOURCE), State(path), FIRST)


def an_order(side: str, amount: str, price: Decimal | None = None, **more: object) -> OrderRequest:
    kind = "market" if price is None else "limit"
    return OrderRequest.model_validate(
        {"symbol": SYMBOL, "side": side, "kind": kind, "amount": Decimal(amount), "price": price, **more}
    )


def refusal(exchange: Exchange, request: OrderRequest) -> Refusal:
    with pytest.raises(RequestRefused) as refused:
        exchange.place(request, NOW)
    return refused.value.refusal


def test_a_market_order_walks_the_book_and_pays_the_taker_fee() -> None:
    exchange = an_exchange()
    book = exchange.market.book(SYMBOL, NOW)
    amount = book.asks[0].amount + Decimal("0.001")
    order = exchange.place(an_order("buy", str(amount)), NOW)
    paid = book.asks[0].amount * book.asks[0].price + Decimal("0.001") * book.asks[1].price
    assert (order.status, order.filled) == ("closed", amount)
    assert order.cost == pytest.approx(paid, abs=Decimal("0.0001"))
    assert order.fee == pytest.approx(paid * Decimal("0.004"), abs=Decimal("0.0001"))
    assert exchange.balances["BTC"] == FIRST["BTC"] + amount
    assert exchange.balances["USD"] == FIRST["USD"] - order.cost - order.fee


def test_a_market_order_larger_than_the_book_is_filled_in_part() -> None:
    exchange = an_exchange()
    exchange.set_balances({"BTC": Decimal(10**9)})
    order = exchange.place(an_order("sell", str(10**6)), NOW)
    assert order.status == "canceled"
    assert order.filled == sum(level.amount for level in exchange.market.book(SYMBOL, NOW).bids)


def test_a_resting_limit_order_is_filled_by_trades_beyond_its_price_as_maker() -> None:
    exchange = an_exchange()
    limit = exchange.market.price(SYMBOL, NOW) - 50
    order = exchange.place(an_order("buy", "0.5", limit), NOW)
    assert order.status == "open"
    assert exchange.held("USD") == limit / 2 * Decimal("1.004")
    exchange.stage(SYMBOL, Staging(price=limit, price_since=NOW + 1), NOW + 1)
    assert exchange.orders[0].filled == 0, "touching is not going through"
    exchange.stage(SYMBOL, Staging(price=limit - 1, price_since=NOW + 2), NOW + 2)
    (filled,) = exchange.orders
    assert (filled.status, filled.cost) == ("closed", limit / 2)
    assert filled.fee == filled.cost * Decimal("0.0025")
    assert all(fill.maker for fill in exchange.fills)
    assert exchange.held("USD") == 0


def test_a_limit_order_larger_than_what_trades_is_filled_bit_by_bit() -> None:
    exchange = an_exchange()
    exchange.set_balances({"USD": Decimal(10**9)})
    limit = exchange.market.price(SYMBOL, NOW) - 50
    exchange.place(an_order("buy", "100", limit), NOW)
    exchange.stage(SYMBOL, Staging(price=limit - 1, price_since=NOW + 1), NOW + 1)
    first = exchange.orders[0].filled
    exchange.advance(NOW + 3600)
    assert 0 < first < exchange.orders[0].filled < 100
    assert exchange.orders[0].status == "open"


def test_a_limit_order_beyond_the_book_takes_first_and_rests_with_the_remainder() -> None:
    exchange = an_exchange()
    exchange.set_balances({"USD": Decimal(10**9)})
    best = exchange.market.book(SYMBOL, NOW).asks[0]
    order = exchange.place(an_order("buy", str(best.amount + 1), best.price), NOW)
    assert (order.status, order.filled, order.cost) == ("open", best.amount, best.amount * best.price)
    immediate = exchange.place(an_order("buy", str(best.amount + 1), best.price, immediate=True), NOW)
    assert (immediate.status, immediate.filled) == ("canceled", best.amount)


def test_a_post_only_order_never_takes() -> None:
    exchange = an_exchange()
    best = exchange.market.book(SYMBOL, NOW).asks[0]
    order = exchange.place(an_order("buy", "0.01", best.price, post_only=True), NOW)
    assert (order.status, order.filled, order.reason) == ("canceled", 0, "Post only order")


def test_refusals_name_their_reason_and_change_nothing() -> None:
    exchange = an_exchange()
    price = exchange.market.price(SYMBOL, NOW)
    assert refusal(exchange, an_order("buy", "100")) is Refusal.INSUFFICIENT_FUNDS
    assert refusal(exchange, an_order("sell", "2.00000001")) is Refusal.INSUFFICIENT_FUNDS
    assert refusal(exchange, an_order("buy", "0.00001")) is Refusal.AMOUNT_TOO_SMALL
    assert refusal(exchange, an_order("buy", "0.00005", Decimal(1))) is Refusal.COST_TOO_SMALL
    assert refusal(exchange, an_order("buy", "0.000000001")) is Refusal.AMOUNT_TOO_PRECISE
    assert refusal(exchange, an_order("buy", "0.1", Decimal("1000.01"))) is Refusal.PRICE_TOO_PRECISE
    assert refusal(exchange, an_order("buy", "0.1", deadline=NOW)) is Refusal.DEADLINE_PASSED
    exchange.place(an_order("buy", "0.1", price - 100, client_id="once"), NOW)
    assert refusal(exchange, an_order("buy", "0.1", client_id="once")) is Refusal.CLIENT_ID_IN_USE
    exchange.stage(SYMBOL, Staging(halted=True), NOW)
    assert refusal(exchange, an_order("buy", "0.1")) is Refusal.HALTED
    assert len(exchange.orders) == 1
    with pytest.raises(RequestRefused):
        exchange.cancel("no such order", NOW)


def test_money_held_by_one_order_cannot_be_spent_by_another() -> None:
    exchange = an_exchange()
    exchange.place(an_order("sell", "1.5", exchange.market.price(SYMBOL, NOW) + 1000), NOW)
    assert refusal(exchange, an_order("sell", "0.6")) is Refusal.INSUFFICIENT_FUNDS
    exchange.cancel(exchange.orders[0].id, NOW + 1)
    assert exchange.place(an_order("sell", "0.6"), NOW + 1).status == "closed"


def test_everything_is_there_again_after_a_restart(tmp_path: Path) -> None:
    before = an_exchange(tmp_path / "state.sqlite")
    before.place(an_order("buy", "0.1"), NOW)
    before.place(an_order("sell", "0.2", before.market.price(SYMBOL, NOW) + 10), NOW)
    before.advance(NOW + 30)
    after = an_exchange(tmp_path / "state.sqlite")
    assert [order.id for order in after.orders] == [order.id for order in before.orders]
    assert after.fills == before.fills
    assert after.balances == before.balances
    after.advance(NOW + 86_400)
    before_too = an_exchange(tmp_path / "state.sqlite")
    assert before_too.orders == after.orders


def test_no_two_sandboxes_give_the_same_id() -> None:
    ids = [an_exchange().place(an_order("buy", "0.1"), NOW).id for _ in range(3)]
    assert len(set(ids)) == 3


a_step = st.tuples(
    st.sampled_from(["buy", "sell"]),
    st.decimals(min_value="0.0001", max_value="1.5", places=8),
    st.none() | st.integers(min_value=-300, max_value=300),
    st.floats(min_value=0, max_value=7200),
    st.booleans(),
)


@settings(max_examples=40, deadline=None)
@given(steps=st.lists(a_step, max_size=15))
def test_the_books_balance_whatever_is_traded(
    steps: list[tuple[str, Decimal, int | None, float, bool]],
) -> None:
    exchange, now = an_exchange(), NOW
    for side, amount, offset, wait, cancels in steps:
        price = None if offset is None else exchange.market.price(SYMBOL, now) + offset
        try:
            order = exchange.place(an_order(side, str(amount), price), now)
        except RequestRefused as refused:
            assert refused.refusal in (Refusal.INSUFFICIENT_FUNDS, Refusal.COST_TOO_SMALL)
            continue
        now += wait
        exchange.advance(now)
        if cancels and exchange.orders[-1].status == "open":
            exchange.cancel(order.id, now)
    for order in exchange.orders:
        fills = [exchange.fill(fill_id) for fill_id in order.fills]
        assert order.filled == sum(fill.amount for fill in fills) <= order.request.amount
        assert order.cost == sum(fill.cost for fill in fills)
        assert order.fee == sum(fill.fee for fill in fills)
        assert all(order.opened_at <= fill.at <= now for fill in fills)
    bought = {
        side: sum(fill.amount for fill in exchange.fills if fill.side == side) for side in ("buy", "sell")
    }
    paid = sum((1 if fill.side == "buy" else -1) * fill.cost + fill.fee for fill in exchange.fills)
    assert exchange.balances["BTC"] == FIRST["BTC"] + bought["buy"] - bought["sell"] >= exchange.held("BTC")
    assert exchange.balances["USD"] == FIRST["USD"] - paid
    assert exchange.balances["USD"] >= exchange.held("USD") - Decimal("0.001")


def test_the_call_counter_decays_as_krakens_does() -> None:
    counter = CallCounter(CallLimit(most=3, decay=0.5))
    assert [counter.allows("Balance", NOW) for _ in range(4)] == [True, True, True, False]
    assert counter.allows("AddOrder", NOW), "orders have their own limits"
    assert not counter.allows("TradesHistory", NOW + 2)
    assert counter.allows("TradesHistory", NOW + 4)


def test_pairs_are_named_as_kraken_names_them() -> None:
    names = {
        "BTC/USD": ("XXBTZUSD", "XBTUSD", "XBT/USD"),
        "ETH/BTC": ("XETHXXBT", "ETHXBT", "ETH/XBT"),
        "SOL/USD": ("SOLUSD", "SOLUSD", "SOL/USD"),
        "DOGE/USD": ("XDGUSD", "XDGUSD", "XDG/USD"),
        "LTC/USD": ("XLTCZUSD", "LTCUSD", "LTC/USD"),
        "BTC/USDT": ("XBTUSDT", "XBTUSDT", "XBT/USDT"),
        "XRP/ETH": ("XRPETH", "XRPETH", "XRP/ETH"),
    }
    listing = Listing(Pair.listed(symbol) for symbol in names)
    for symbol, spellings in names.items():
        pair = listing[symbol]
        assert (pair.id, pair.altname, pair.wsname) == spellings
        assert {listing.find(name) for name in (*spellings, symbol, symbol.replace("/", ""))} == {pair}
