"""What everything that trades contracts has to do, as `exchange_contract` says it for spot markets."""

from __future__ import annotations

from decimal import Decimal
from uuid import uuid4

import pytest

from missiondesk.exchanges.contracts import contract_of
from models.errors import OrderRejected
from models.market import Instrument, Side
from models.order import Position
from tests.contract.exchange_contract import PRICE, Bench, facts

# Fees and the spread of a market order, as a share of what it trades.
NEARLY = Decimal("0.002")


def lots(bench: Bench, count: int) -> Decimal:
    return bench.instrument.lot * count


def settle(instrument: Instrument) -> str:
    assert instrument.settle is not None
    return instrument.settle


def money(bench: Bench) -> tuple[Decimal, Decimal]:
    """(free, total) of what settles the contract."""
    return bench.trading.balances()[settle(bench.instrument)]


def position(bench: Bench) -> Position | None:
    found = [each for each in bench.trading.positions() if each.symbol == bench.symbol]
    return found[0] if found else None


def held(bench: Bench) -> Position:
    found = position(bench)
    assert found is not None
    return found


class ContractTradingContract:
    """`bench` is given by the implementation; its fixture sets the price to PRICE."""

    def test_the_instrument_says_what_a_contract_is(self, bench: Bench) -> None:
        instrument = bench.instrument
        assert instrument.is_contract
        assert instrument.inverse == (instrument.settle == instrument.base)
        assert instrument.contract_size > 0
        assert Decimal(0) < instrument.lot <= instrument.min_amount
        worth = contract_of(bench.instrument).face(instrument.min_amount, PRICE)
        assert 1 <= worth < 1000

    @pytest.mark.parametrize(("side", "sign"), [("buy", 1), ("sell", -1)])
    def test_a_market_order_opens_a_position_and_sets_its_margin_aside(
        self, bench: Bench, side: Side, sign: int
    ) -> None:
        free, total = money(bench)
        order = bench.place(side, lots(bench, 10), leverage=5)
        assert (order.status, order.filled) == ("closed", lots(bench, 10))
        assert order.average is not None
        assert order.average == pytest.approx(PRICE, rel=NEARLY)
        assert order.cost == pytest.approx(contract_of(bench.instrument).face(order.filled, order.average))
        fee = order.cost * bench.instrument.taker
        assert order.fee == pytest.approx(fee, rel=Decimal("0.001"), abs=Decimal("0.001"))
        opened = held(bench)
        assert (opened.amount, opened.leverage) == (sign * order.filled, 5)
        assert opened.entry_price == pytest.approx(order.average)
        worth = contract_of(bench.instrument).worth(order.filled, order.average)
        left, owned = money(bench)
        assert free - left == pytest.approx(worth / 5, abs=worth * NEARLY)
        assert 0 < total - owned < worth * NEARLY

    @pytest.mark.parametrize(("side", "close"), [("buy", "sell"), ("sell", "buy")])
    @pytest.mark.parametrize("moved", ["1.1", "0.9"])
    def test_closing_pays_what_the_price_made_of_it(
        self, bench: Bench, side: Side, close: Side, moved: str
    ) -> None:
        _, before = money(bench)
        opened = bench.place(side, lots(bench, 10), leverage=2)
        bench.set_price(PRICE * Decimal(moved))
        bench.clock.advance(10)
        gain = contract_of(bench.instrument).gain(held(bench).amount, PRICE, PRICE * Decimal(moved))
        worth = contract_of(bench.instrument).worth(opened.filled, PRICE)
        assert held(bench).unrealised == pytest.approx(gain, abs=worth * NEARLY)
        bench.place(close, lots(bench, 4), reduce_only=True)
        left = held(bench)
        assert (abs(left.amount), left.entry_price) == (lots(bench, 6), pytest.approx(opened.average))
        bench.place(close, lots(bench, 6), reduce_only=True)
        assert position(bench) is None
        free, total = money(bench)
        assert free == total
        assert total - before == pytest.approx(gain, abs=2 * worth * NEARLY)

    @pytest.mark.parametrize(("side", "close"), [("buy", "sell"), ("sell", "buy")])
    def test_an_order_that_only_reduces_never_turns_the_position(
        self, bench: Bench, side: Side, close: Side
    ) -> None:
        bench.place(side, lots(bench, 3))
        order = bench.place(close, lots(bench, 8), reduce_only=True)
        assert (order.filled, position(bench)) == (lots(bench, 3), None)
        assert order.status != "open"

    @pytest.mark.parametrize("opened", [None, "sell"])
    def test_with_nothing_to_reduce_it_is_refused(self, bench: Bench, opened: Side | None) -> None:
        if opened is not None:
            bench.place(opened, lots(bench, 3))
        before, client_order_id = position(bench), uuid4().hex
        with pytest.raises(OrderRejected):
            bench.place("sell", lots(bench, 3), client_order_id=client_order_id, reduce_only=True)
        assert position(bench) == before
        assert bench.find(client_order_id) is None

    def test_any_other_order_may_turn_it(self, bench: Bench) -> None:
        bench.place("buy", lots(bench, 3))
        bench.place("sell", lots(bench, 5))
        assert held(bench).amount == -lots(bench, 2)

    def test_a_resting_order_holds_its_margin_until_it_is_cancelled(self, bench: Bench) -> None:
        before = money(bench)
        order = bench.place("buy", lots(bench, 10), PRICE / 2, leverage=4)
        assert (order.status, order.filled, order.price) == ("open", 0, PRICE / 2)
        worth = contract_of(bench.instrument).worth(lots(bench, 10), PRICE / 2)
        free, total = money(bench)
        assert (total, before[0] - free) == (before[1], pytest.approx(worth / 4, abs=worth * NEARLY))
        final = bench.trading.cancel(order)
        assert (final.status, final.filled) == ("cancelled", 0)
        assert money(bench) == before
        assert bench.trading.cancel(order) == final

    @pytest.mark.parametrize(("side", "limit", "beyond"), [("buy", "0.9", "0.8"), ("sell", "1.1", "1.2")])
    def test_it_fills_when_the_market_goes_through_its_price(
        self, bench: Bench, side: Side, limit: str, beyond: str
    ) -> None:
        order = bench.place(side, lots(bench, 2), PRICE * Decimal(limit))
        bench.set_price(PRICE * Decimal(beyond))
        bench.clock.advance(180)
        filled = bench.find(order.client_order_id)
        assert filled is not None
        assert (filled.status, filled.filled, filled.average) == ("closed", order.amount, order.price)
        fee = filled.cost * bench.instrument.maker
        assert filled.fee == pytest.approx(fee, rel=Decimal("0.001"), abs=Decimal("0.001"))
        assert abs(held(bench).amount) == order.amount

    def test_orders_are_found_by_their_client_order_id(self, bench: Bench) -> None:
        done, resting = bench.place("buy", lots(bench, 2)), bench.place("buy", lots(bench, 2), PRICE / 2)
        gone = bench.trading.cancel(bench.place("sell", lots(bench, 2), PRICE * 2))
        for order in (done, resting, gone):
            assert facts(bench.find(order.client_order_id)) == facts(order)
            assert facts(bench.find(order.client_order_id, order.exchange_order_id)) == facts(order)
        assert bench.find(uuid4().hex) is None

    def test_what_the_margin_does_not_carry_is_refused(self, bench: Bench) -> None:
        free, _ = before = money(bench)
        contract, instrument = contract_of(bench.instrument), bench.instrument
        one = contract.worth(instrument.lot, PRICE)
        count = int(free / one)
        for price in (None, PRICE / 2 if not instrument.inverse else PRICE * Decimal("1.01")):
            with pytest.raises(OrderRejected, match="nsufficient"):
                bench.place("sell" if price and price > PRICE else "buy", lots(bench, 4 * count), price)
        assert (money(bench), position(bench)) == (before, None)

    def test_twice_the_leverage_carries_twice_as_much(self, bench: Bench) -> None:
        free, _ = money(bench)
        count = int(free / contract_of(bench.instrument).worth(bench.instrument.lot, PRICE))
        order = bench.place("buy", lots(bench, count * 3 // 2), PRICE * Decimal("0.9"), leverage=2)
        assert order.status == "open"

    @pytest.mark.parametrize("lot_share", ["0.5", "1.5", "0"])
    def test_amounts_are_whole_lots(self, bench: Bench, lot_share: str) -> None:
        with pytest.raises(OrderRejected, match=r"steps|at least"):
            bench.place("buy", bench.instrument.lot * Decimal(lot_share))
        assert position(bench) is None
