"""What everything that implements the exchange port has to do; implementations derive their tests from these.

The price of the bench's market is in the test's hands: `bench.set_price` holds from then on. `bench.clock` is
the venue's time as well as ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest

from missiondesk.exchanges.port import MarketData, Trading
from missiondesk.market.candles import timeframe_milliseconds
from models.errors import OrderRejected, UnknownName
from models.market import Instrument, Side
from models.order import ExchangeOrder

SYMBOL = "BTC/USD"
START = datetime(2026, 3, 2, 12, 0, 30, tzinfo=UTC)
PRICE = Decimal(50_000)


class ManualClock:
    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass(frozen=True)
class Bench:
    """One implementation, with one of its markets in hand. The account owns some of every currency there."""

    market: MarketData
    trading: Trading
    clock: ManualClock
    set_price: Callable[[Decimal], None]
    symbol: str = SYMBOL

    @property
    def instrument(self) -> Instrument:
        return self.market.instruments()[self.symbol]

    def place(
        self,
        side: Side,
        amount: str | Decimal,
        price: Decimal | None = None,
        *,
        client_order_id: str | None = None,
        deadline_seconds: float = 20,
        reduce_only: bool = False,
        leverage: int | None = None,
    ) -> ExchangeOrder:
        return self.trading.place(
            client_order_id=client_order_id or uuid4().hex,
            symbol=self.symbol,
            side=side,
            type="market" if price is None else "limit",
            amount=Decimal(amount),
            price=price,
            deadline=self.clock() + timedelta(seconds=deadline_seconds),
            reduce_only=reduce_only,
            leverage=None if leverage is None else Decimal(leverage),
        )

    def find(self, client_order_id: str | None, exchange_order_id: str | None = None) -> ExchangeOrder | None:
        return self.trading.find(
            client_order_id or "",
            self.symbol,
            since=self.clock() - timedelta(minutes=30),
            exchange_order_id=exchange_order_id,
        )


def facts(order: ExchangeOrder | None) -> ExchangeOrder | None:
    """Without the time stamp, which venues round."""
    return None if order is None else replace(order, at=None)


class MarketDataContract:
    """`bench` is given by the implementation."""

    def test_instruments_say_in_which_steps_they_trade(self, bench: Bench) -> None:
        instrument = bench.instrument
        assert instrument.symbol.startswith(f"{instrument.base}/{instrument.quote}")
        assert instrument.is_contract == (":" in instrument.symbol)
        assert instrument.exchange == bench.market.name
        assert Decimal(0) < instrument.lot <= instrument.min_amount
        assert instrument.tick > 0
        assert Decimal(0) <= instrument.maker <= instrument.taker < Decimal("0.1")

    def test_timeframes_come_shortest_first(self, bench: Bench) -> None:
        timeframes = list(bench.market.timeframes())
        assert timeframes[0] == "1m"
        assert timeframes == sorted(timeframes, key=timeframe_milliseconds)
        assert {"5m", "1h", "1d"} <= set(timeframes)

    def test_candles_end_with_the_running_one(self, bench: Bench) -> None:
        candles = bench.market.candles(bench.symbol, "1h", since=None, limit=5)
        assert len(candles) == 5
        closed = candles.closed_at(bench.clock())
        assert len(closed) == 4
        assert (
            closed.closed_at(bench.clock()).open_time[-1] + 2 * 3_600_000 > bench.clock().timestamp() * 1000
        )
        assert (candles.low <= candles.close).all() and (candles.close <= candles.high).all()

    def test_candles_begin_where_they_are_asked_to(self, bench: Bench) -> None:
        since = bench.clock().replace(minute=0, second=0) - timedelta(hours=3)
        candles = bench.market.candles(bench.symbol, "1h", since=since, limit=100)
        assert [int(time) // 1000 for time in candles.open_time] == [
            int((since + timedelta(hours=hours)).timestamp()) for hours in range(4)
        ]

    def test_the_ticker_has_both_sides(self, bench: Bench) -> None:
        bench.set_price(PRICE)
        ticker = bench.market.ticker(bench.symbol)
        assert Decimal(0) < ticker.bid < ticker.ask
        assert ticker.last == PRICE
        assert abs((ticker.at - bench.clock()).total_seconds()) < 60

    def test_the_book_is_sorted_from_the_best_price_on(self, bench: Bench) -> None:
        book = bench.market.order_book(bench.symbol, 10)
        assert 0 < len(book.bids) <= 10 and 0 < len(book.asks) <= 10
        assert list(book.bids) == sorted(book.bids, key=lambda level: -level.price)
        assert list(book.asks) == sorted(book.asks, key=lambda level: level.price)
        assert book.bids[0].price < book.asks[0].price

    def test_trades_come_oldest_first_and_none_before_since(self, bench: Bench) -> None:
        bench.clock.advance(120)
        since = bench.clock() - timedelta(seconds=100)
        trades = bench.market.trades(bench.symbol, since=since)
        assert trades
        assert [trade.at for trade in trades] == sorted(trade.at for trade in trades)
        assert since <= trades[0].at <= trades[-1].at <= bench.clock()
        assert bench.market.trades(bench.symbol, since=since, limit=2) == trades[:2]

    def test_an_unknown_symbol_is_named_with_the_ones_that_exist(self, bench: Bench) -> None:
        for ask in (
            lambda: bench.market.ticker("BTC/USX"),
            lambda: bench.market.candles("BTC/USX", "1h", since=None, limit=1),
            lambda: bench.market.order_book("BTC/USX"),
            lambda: bench.market.trades("BTC/USX", since=bench.clock()),
        ):
            with pytest.raises(UnknownName, match="BTC/USD"):
                ask()


class TradingContract:
    """`bench` is given by the implementation; its fixture sets the price to PRICE."""

    def test_a_market_order_trades_at_once_and_moves_the_money(self, bench: Bench) -> None:
        base, quote = bench.instrument.base, bench.instrument.quote
        before = bench.trading.balances()
        order = bench.place("buy", "0.01")
        assert order.status == "closed"
        assert order.filled == order.amount == Decimal("0.01")
        assert order.average is not None
        assert abs(order.average - PRICE) < PRICE / 100
        assert order.cost == pytest.approx(order.filled * order.average, abs=Decimal("0.01"))
        assert order.fee == pytest.approx(order.cost * bench.instrument.taker, abs=Decimal("0.01"))
        after = bench.trading.balances()
        assert after[base][1] - before[base][1] == order.filled
        paid = before[quote][1] - after[quote][1]
        assert paid == pytest.approx(order.cost + order.fee, abs=Decimal("0.01"))

    def test_a_sale_pays_less_its_fee(self, bench: Bench) -> None:
        base, quote = bench.instrument.base, bench.instrument.quote
        before = bench.trading.balances()
        order = bench.place("sell", "0.01")
        after = bench.trading.balances()
        assert before[base][1] - after[base][1] == order.filled == Decimal("0.01")
        earned = after[quote][1] - before[quote][1]
        assert earned == pytest.approx(order.cost - order.fee, abs=Decimal("0.01"))

    def test_a_limit_order_rests_with_its_funds_set_aside_until_it_is_cancelled(self, bench: Bench) -> None:
        before = bench.trading.balances()
        order = bench.place("buy", "0.01", PRICE / 2)
        assert (order.status, order.filled, order.price) == ("open", 0, PRICE / 2)
        resting = bench.trading.balances()
        quote = bench.instrument.quote
        assert resting[quote][1] == before[quote][1]
        assert before[quote][0] - resting[quote][0] >= Decimal("0.01") * PRICE / 2
        final = bench.trading.cancel(order)
        assert (final.status, final.filled) == ("cancelled", 0)
        assert bench.trading.balances() == before

    def test_a_resting_sale_sets_the_base_aside(self, bench: Bench) -> None:
        before = bench.trading.balances()
        order = bench.place("sell", "0.01", PRICE * 2)
        resting = bench.trading.balances()
        assert (before["BTC"][0] - resting["BTC"][0], resting["BTC"][1]) == (
            Decimal("0.01"),
            before["BTC"][1],
        )
        bench.trading.cancel(order)
        assert bench.trading.balances() == before

    @pytest.mark.parametrize(("side", "limit", "beyond"), [("buy", "0.9", "0.8"), ("sell", "1.1", "1.2")])
    def test_a_resting_order_fills_when_the_market_goes_through_its_price(
        self, bench: Bench, side: Side, limit: str, beyond: str
    ) -> None:
        order = bench.place(side, "0.001", PRICE * Decimal(limit))
        bench.clock.advance(120)
        waiting = bench.find(order.client_order_id)
        assert waiting is not None
        assert (waiting.status, waiting.filled) == ("open", 0)
        bench.set_price(PRICE * Decimal(beyond))
        bench.clock.advance(180)
        filled = bench.find(order.client_order_id)
        assert filled is not None
        assert (filled.status, filled.filled) == ("closed", order.amount)
        assert filled.average == order.price
        assert filled.fee == pytest.approx(filled.cost * bench.instrument.maker, abs=Decimal("0.01"))

    def test_cancelling_what_is_done_is_no_error(self, bench: Bench) -> None:
        bought = bench.place("buy", "0.01")
        assert facts(bench.trading.cancel(bought)) == facts(bought)
        resting = bench.place("buy", "0.01", PRICE / 2)
        cancelled = bench.trading.cancel(resting)
        assert bench.trading.cancel(resting) == cancelled

    def test_an_order_is_found_by_its_client_order_id_wherever_it_is(self, bench: Bench) -> None:
        done, resting = bench.place("buy", "0.01"), bench.place("buy", "0.01", PRICE / 2)
        gone = bench.trading.cancel(bench.place("sell", "0.01", PRICE * 2))
        for order in (done, resting, gone):
            found = bench.find(order.client_order_id)
            assert facts(found) == facts(order)
            assert facts(bench.find(order.client_order_id, order.exchange_order_id)) == facts(order)

    def test_an_order_is_found_among_many_later_ones(self, bench: Bench) -> None:
        first = bench.place("buy", "0.0002")
        for _ in range(60):
            bench.clock.advance(2)
            bench.place("buy", "0.0002")
        assert facts(bench.find(first.client_order_id)) == facts(first)

    def test_an_order_never_placed_is_not_found(self, bench: Bench) -> None:
        bench.place("buy", "0.01")
        assert bench.find(uuid4().hex) is None

    @pytest.mark.parametrize(
        ("side", "amount", "price", "said"),
        [
            ("buy", "1000", None, "nsufficient"),
            ("buy", "10", PRICE / 2, "nsufficient"),
            ("sell", "1000", None, "nsufficient"),
            ("sell", "1000", PRICE * 2, "nsufficient"),
            ("buy", "0.00000001", None, "0.0000|minimum"),
            ("buy", "0.010000001", None, "steps"),
            ("buy", "0.01", PRICE / 2 + Decimal("0.01"), "steps"),
            ("buy", "0", None, "steps"),
            ("buy", "-1", None, "steps"),
        ],
    )
    def test_an_order_that_is_refused_changes_nothing(
        self, bench: Bench, side: Side, amount: str, price: Decimal | None, said: str
    ) -> None:
        before = bench.trading.balances()
        client_order_id = uuid4().hex
        with pytest.raises(OrderRejected, match=said):
            bench.place(side, amount, price, client_order_id=client_order_id)
        assert bench.trading.balances() == before
        assert bench.find(client_order_id) is None

    def test_an_order_after_its_deadline_is_refused(self, bench: Bench) -> None:
        client_order_id = uuid4().hex
        with pytest.raises(OrderRejected):
            bench.place("buy", "0.01", client_order_id=client_order_id, deadline_seconds=-1)
        assert bench.find(client_order_id) is None

    def test_an_unknown_symbol_is_named_with_the_ones_that_exist(self, bench: Bench) -> None:
        with pytest.raises(UnknownName, match="BTC/USD"):
            bench.trading.place(
                client_order_id=uuid4().hex,
                symbol="BTC/USX",
                side="buy",
                type="market",
                amount=Decimal(1),
                price=None,
                deadline=bench.clock() + timedelta(seconds=20),
            )

    def test_a_spot_account_has_no_positions(self, bench: Bench) -> None:
        assert list(bench.trading.positions()) == []
