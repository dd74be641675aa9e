"""Trades: what is asked of the order gateway, and when a position is left."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from missiondesk.templates.registry import find
from missiondesk.templates.run import try_template
from missiondesk.templates.validation import ParamsRefused, check_task, parse_params
from models.errors import DataStale, InvalidRow
from models.order import LeafKey, Position, TradeRequest
from models.result import Verdict
from tests.template_ports import FileMarkets, TemplateDesk, drawn, task_of

NOW = datetime(2024, 1, 3, tzinfo=UTC)
TENTH = {"symbol": "BTC/USD", "amount": "0.1", "unit": "base"}


def a_desk(price: str = "100", position: Position | None = None) -> TemplateDesk:
    desk = TemplateDesk(FileMarkets({("kraken", "BTC/USD", "1h"): drawn([100.0] * 30)}))
    desk.markets.prices["BTC/USD"] = Decimal(price)
    if position is not None:
        desk.orders.held["BTC/USD"] = position
    return desk


def holding(amount: str, entry: str = "100") -> Position:
    return Position("BTC/USD", Decimal(amount), Decimal(entry))


def tried(desk: TemplateDesk, template: str, **params: Any) -> Verdict:
    return try_template(desk.context(NOW), task_of(template, params))


PLAIN: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("market_buy", TENTH, {"side": "buy"}),
    ("market_sell", TENTH, {"side": "sell"}),
    ("limit_buy", {**TENTH, "price": "99.5"}, {"side": "buy", "price": Decimal("99.5")}),
    ("limit_sell", {**TENTH, "price": 101}, {"side": "sell", "price": Decimal(101)}),
    ("long", {**TENTH, "leverage": 3}, {"side": "buy", "leverage": Decimal(3)}),
    ("short", TENTH, {"side": "sell", "leverage": Decimal(1)}),
    ("close_long", TENTH, {"side": "sell", "reduce_only": True, "whole_position": True}),
    ("close_short", TENTH, {"side": "buy", "reduce_only": True, "whole_position": True}),
]


@pytest.mark.parametrize(("template", "params", "asked"), PLAIN)
def test_the_gateway_is_asked_for_exactly_this(
    template: str, params: dict[str, Any], asked: dict[str, Any]
) -> None:
    desk = a_desk()
    verdict = tried(desk, template, **params, timeout_seconds=30)
    assert (verdict.passed, verdict.rule, verdict.msg) == (True, "FILLED", f"{asked['side']} 0.1 filled")
    expected = TradeRequest(
        key=LeafKey(7, "task", 0),
        mission_id=1,
        task_id=3,
        account="paper",
        mode="paper",
        exchange="kraken",
        symbol="BTC/USD",
        amount=Decimal("0.1"),
        unit="base",
        timeout_seconds=30,
        **asked,
    )
    assert desk.orders.requests == [expected]


def test_an_open_order_waits_and_a_denied_one_says_why() -> None:
    desk = a_desk()
    desk.orders.resting = True
    assert tried(desk, "market_buy", **TENTH).rule == "OPEN"
    desk.orders.fill()
    assert tried(desk, "market_buy", **TENTH).passed
    halted = a_desk()
    halted.orders.denying = True
    verdict = tried(halted, "market_buy", **TENTH)
    assert (verdict.passed, verdict.rule, verdict.msg) == (False, "DENIED", "the desk is halted")


def test_messages_with_braces_are_left_alone() -> None:
    assert Verdict(False, "X", "{message}", {"message": "said {nothing}"}).msg == "said {nothing}"


@pytest.mark.parametrize(
    ("template", "params", "field", "said"),
    [
        ("market_buy", {"symbol": "BTC/USD"}, "amount", "expected a value, got none"),
        ("market_buy", {**TENTH, "amount": "-1"}, "amount", "expected greater than 0, got '-1'"),
        ("market_buy", {**TENTH, "amount": "NaN"}, "amount", "expected a finite number, got 'NaN'"),
        (
            "market_buy",
            {**TENTH, "amount": 101, "unit": "percent"},
            "",
            "expected at most 100 percent, got 101",
        ),
        (
            "market_buy",
            {**TENTH, "unit": "usd"},
            "unit",
            "expected 'base', 'quote', 'percent' or 'contracts'",
        ),
        ("market_buy", {**TENTH, "price": "9"}, "price", "expected fields among symbol, exchange, amount"),
        ("market_buy", {**TENTH, "timeout_seconds": 0}, "timeout_seconds", "expected greater than 0, got 0"),
        ("limit_buy", TENTH, "price", "expected a value, got none"),
        ("close_long", {"symbol": "BTC/USD", "amount": 1}, "", "expected amount and unit together"),
        ("stop_loss", TENTH, "percent", "expected a value, got none"),
        ("stop_loss", {**TENTH, "percent": 5, "condition": "!no"}, "condition", "without a leading !"),
        ("stop_loss", {**TENTH, "percent": 5, "condition": "always_true"}, "condition", "built in"),
    ],
)
def test_what_is_refused(template: str, params: dict[str, Any], field: str, said: str) -> None:
    with pytest.raises(ParamsRefused) as refused:
        parse_params(find(template), params)
    [(place, problem)] = refused.value.problems
    assert place == field
    assert said in problem


@pytest.mark.parametrize(("template", "params", "asked"), PLAIN)
def test_trades_are_not_retried(template: str, params: dict[str, Any], asked: dict[str, Any]) -> None:
    with pytest.raises(InvalidRow, match="retries: expected 0, because this Task trades, got 2"):
        check_task(task_of(template, params, retries=2))


# Leaving a position


@settings(deadline=None)
@given(
    price=st.decimals(min_value=1, max_value=300, places=2),
    percent=st.integers(1, 80),
    amount=st.sampled_from(["0.5", "-0.5"]),
)
def test_exits_wait_for_loss_or_gain_from_the_entry(price: Decimal, percent: int, amount: str) -> None:
    for template, sign in (("stop_loss", -1), ("take_profit", 1)):
        desk = a_desk(str(price), holding(amount))
        verdict = tried(desk, template, symbol="BTC/USD", percent=percent)
        long = Decimal(amount) > 0
        moved = sign * (price - 100) * (1 if long else -1)
        assert verdict.passed is (moved >= percent)
        if verdict.passed:
            [request] = desk.orders.requests
            assert (request.side, request.reduce_only) == ("sell" if long else "buy", True)
            assert (request.amount, request.unit) == (Decimal(100), "percent")
        else:
            assert verdict.rule == template.upper()
            assert verdict.msg_args["percent"] == pytest.approx(float(moved))


def test_a_stop_loss_tells_its_numbers() -> None:
    verdict = tried(a_desk("96.5", holding("1")), "stop_loss", symbol="BTC/USD", percent="5")
    assert verdict.msg == "loss=3.5%, needs >= 5% (entry 100, last trade 96.5)"
    sold = tried(a_desk("94", holding("1")), "stop_loss", symbol="BTC/USD", percent="5")
    assert sold.msg == "loss=6%, needs >= 5% (entry 100, last trade 94); sell 100 filled"


def test_a_stop_loss_sets_its_condition_before_it_sells() -> None:
    desk = a_desk("94", holding("1"))
    desk.orders.denying = True
    verdict = tried(desk, "stop_loss", symbol="BTC/USD", percent=5, condition="stopped")
    assert (verdict.rule, desk.conditions.board) == ("DENIED", {"stopped": True})
    calm = a_desk("99", holding("1"))
    tried(calm, "stop_loss", symbol="BTC/USD", percent=5, condition="stopped")
    assert calm.conditions.board == {}


@pytest.mark.parametrize("template", ["stop_loss", "take_profit"])
def test_without_a_position_nothing_is_left(template: str) -> None:
    desk = a_desk("1")
    verdict = tried(desk, template, symbol="BTC/USD", percent=5)
    assert (verdict.passed, verdict.rule) == (False, "NO_POSITION")
    assert verdict.msg == "no open position of this Mission in BTC/USD"
    assert desk.orders.requests == []


@pytest.mark.parametrize("amount", ["1", "-1"])
def test_an_exit_under_way_is_followed_although_the_price_came_back(amount: str) -> None:
    fell = "94" if amount == "1" else "106"
    desk = a_desk(fell, holding(amount))
    desk.orders.resting = True
    exit_ = {"symbol": "BTC/USD", "percent": 5}
    assert tried(desk, "stop_loss", **exit_).rule == "OPEN"
    desk.markets.prices["BTC/USD"] = Decimal(100)
    assert tried(desk, "stop_loss", **exit_).rule == "OPEN"
    desk.orders.fill()
    assert tried(desk, "stop_loss", **exit_).passed
    assert len(desk.orders.requests) == 1


@pytest.mark.parametrize(("amount", "side"), [("1", "sell"), ("-1", "buy")])
def test_close_all_closes_either_side_and_passes_when_flat(amount: str, side: str) -> None:
    desk = a_desk(position=holding(amount))
    desk.orders.resting = True
    assert tried(desk, "close_all", symbol="BTC/USD").rule == "OPEN"
    desk.orders.fill()
    assert tried(desk, "close_all", symbol="BTC/USD").passed
    [request] = desk.orders.requests
    assert (request.side, request.reduce_only) == (side, True)
    flat = tried(a_desk(), "close_all", symbol="BTC/USD")
    assert (flat.passed, flat.rule, flat.msg) == (True, "FLAT", "no position in BTC/USD to close")


def test_a_stale_price_triggers_nothing() -> None:
    desk = a_desk("1", holding("1"))
    desk.markets.stale.add("BTC/USD")
    assert tried(desk, "stop_loss", symbol="BTC/USD", percent=5).rule == "DATA_STALE"
    assert desk.orders.requests == []
    with pytest.raises(DataStale):
        desk.markets.latest_price("kraken", "BTC/USD", NOW)


# Presets

BAND = {**TENTH, "timeframe": "1h"}


def break_desk(price: str, volume: float) -> TemplateDesk:
    """30 hours around 100, the last volume as given and the ones before it 1; bands about 97 and 103."""
    candles = drawn([99.0, 101.0] * 15)
    candles.volume[-1] = volume
    desk = TemplateDesk(FileMarkets({("kraken", "BTC/USD", "1h"): candles}))
    desk.markets.prices["BTC/USD"] = Decimal(price)
    return desk


@pytest.mark.parametrize(
    ("template", "price", "volume", "side"),
    [
        ("buy_on_lower_band_break", "97", 5.0, "buy"),
        ("buy_on_lower_band_break", "97", 0.5, None),
        ("buy_on_lower_band_break", "99", 5.0, None),
        ("sell_on_upper_band_break", "103", 0.5, "sell"),
        ("sell_on_upper_band_break", "101", 5.0, None),
    ],
)
def test_presets_trade_on_a_break_of_the_band(
    template: str, price: str, volume: float, side: str | None
) -> None:
    desk = break_desk(price, volume)
    verdict = tried(desk, template, **BAND)
    assert verdict.passed is (side is not None)
    assert [request.side for request in desk.orders.requests] == ([side] if side else [])


def test_a_preset_counts_on_its_order_alone_once_it_is_sent() -> None:
    desk = break_desk("97", 5.0)
    desk.orders.resting = True
    assert tried(desk, "buy_on_lower_band_break", **BAND).rule == "OPEN"
    desk.markets.prices["BTC/USD"] = Decimal(101)
    desk.orders.fill()
    assert tried(desk, "buy_on_lower_band_break", **BAND).passed
    assert len(desk.orders.requests) == 1


def test_a_preset_tells_what_it_traded_on() -> None:
    verdict = tried(break_desk("97", 5.0), "buy_on_lower_band_break", **BAND)
    told = verdict.msg.split("; ")
    assert told[0].startswith("price (last trade)=97, needs < Bollinger lower(20,2)=98 (kraken:BTC/USD 1h")
    assert told[1].startswith("volume=5, needs > volume mean(3)=2.3333333 (")
    assert told[2] == "buy 0.1 filled"


def test_presets_act_and_so_are_not_retried() -> None:
    with pytest.raises(InvalidRow, match="retries"):
        check_task(task_of("sell_on_upper_band_break", BAND, retries=1))
