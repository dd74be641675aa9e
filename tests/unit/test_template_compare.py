"""The general comparison: operands from any market and timeframe, all operators, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st

from missiondesk.market.candles import to_datetime
from missiondesk.templates.compare import number_format
from missiondesk.templates.registry import find
from missiondesk.templates.run import try_template
from missiondesk.templates.validation import ParamsRefused, parse_params
from models.result import Verdict
from tests.template_ports import FileMarkets, TemplateDesk, drawn, recorded, task_of

NOW = datetime(2024, 6, 1, tzinfo=UTC)
CLOSE, OPEN = {"indicator": "close"}, {"indicator": "open"}


def desk_of(**closes: list[float]) -> TemplateDesk:
    """Kraken markets by the hour, `BTC=[…]` being the closes of BTC/USD."""
    series = {
        ("kraken", f"{base}/USD", "1h"): drawn(values, "1h", f"{base}/USD") for base, values in closes.items()
    }
    return TemplateDesk(FileMarkets(series))


def compared(desk: TemplateDesk, now: datetime = NOW, **params: Any) -> Verdict:
    task = task_of("compare", {"symbol": "BTC/USD", "timeframe": "1h", **params})
    return try_template(desk.context(now), task)


@pytest.mark.parametrize(
    ("op", "passing"),
    [("<", {99}), ("<=", {99, 100}), (">", {101}), (">=", {100, 101})],
)
def test_orders_are_exact_at_their_edges(op: str, passing: set[int]) -> None:
    for close in (99, 100, 101):
        verdict = compared(desk_of(BTC=[float(close)]), left=CLOSE, op=op, right=100)
        assert verdict.passed is (close in passing)
        assert verdict.msg == f"close={close}, needs {op} 100 (kraken:BTC/USD 1h, candle 2024-01-01T00:00Z)"


def test_between_includes_its_bounds() -> None:
    for close, passes in ((29, False), (30, True), (40, True), (50, True), (51, False)):
        verdict = compared(desk_of(BTC=[float(close)]), left=CLOSE, op="between", low=30, high=50)
        assert verdict.passed is passes
        assert verdict.msg.startswith(f"close={close}, needs between 30 and 50 (")


@settings(deadline=None)
@given(
    before=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    now=st.tuples(st.integers(1, 5), st.integers(1, 5)),
)
def test_crossing_looks_at_two_closed_candles_of_each_operand(
    before: tuple[int, int], now: tuple[int, int]
) -> None:
    desk = desk_of(BTC=[float(before[0]), float(now[0])], ETH=[float(before[1]), float(now[1])])
    other = {"indicator": "close", "symbol": "ETH/USD"}
    above = compared(desk, left=CLOSE, op="crosses_above", right=other)
    below = compared(desk, left=CLOSE, op="crosses_below", right=other)
    assert above.passed is (before[0] <= before[1] and now[0] > now[1])
    assert below.passed is (before[0] >= before[1] and now[0] < now[1])


def test_a_number_is_crossed_like_a_line() -> None:
    desk = desk_of(BTC=[100.0, 101.0])
    verdict = compared(desk, left=CLOSE, op="crosses_above", right=100)
    assert verdict.passed
    assert verdict.msg.startswith("close=101 (before 100), needs to cross above 100 (")


def test_offset_counts_closed_candles_back() -> None:
    desk = desk_of(BTC=[1.0, 2.0, 3.0, 4.0])
    verdict = compared(desk, left=CLOSE, op=">", right={"indicator": "close", "offset": 2})
    assert verdict.msg.startswith("close=4, needs > close 2 back=2 (")
    edge = compared(desk, left={"indicator": "close", "offset": 4}, op=">", right=1)
    assert edge.rule == "TOO_FEW_CANDLES"


def test_operands_bring_their_own_market_timeframe_and_exchange(shared_data: Path) -> None:
    folder = shared_data / "ohlcv/binance"
    markets = FileMarkets(
        {
            ("kraken", "BTC/USDT", "1m"): recorded(folder / "BTC-USDT_1m.csv.gz", "1m", "BTC/USDT"),
            ("binance", "ETH/USDT", "5m"): recorded(folder / "ETH-USDT_5m.csv.gz", "5m", "ETH/USDT"),
        }
    )
    now = datetime(2025, 6, 15, 12, 3, 20, tzinfo=UTC)
    other = {"indicator": "rsi", "length": 21, "symbol": "ETH/USDT", "timeframe": "5m", "exchange": "binance"}
    verdict = try_template(
        TemplateDesk(markets).context(now),
        task_of(
            "compare",
            {
                "symbol": "BTC/USDT",
                "timeframe": "1m",
                "left": {"indicator": "rsi"},
                "op": "<",
                "right": other,
            },
        ),
    )
    minutes = markets.series["kraken", "BTC/USDT", "1m"].closed_at(now)
    fives = markets.series["binance", "ETH/USDT", "5m"].closed_at(now)
    assert to_datetime(int(minutes.open_time[-1])) == datetime(2025, 6, 15, 12, 2, tzinfo=UTC)
    assert to_datetime(int(fives.open_time[-1])) == datetime(2025, 6, 15, 11, 55, tzinfo=UTC)
    assert verdict.msg_args["left"] == pytest.approx(talib.RSI(minutes.close, 14)[-1], rel=1e-6)
    assert verdict.msg_args["right"] == pytest.approx(talib.RSI(fives.close, 21)[-1], rel=1e-6)
    assert verdict.msg_args["left_label"] == "kraken:BTC/USDT 1m RSI(14)"
    assert verdict.msg_args["right_label"] == "binance:ETH/USDT 5m RSI(21)"
    assert verdict.msg.endswith(
        "(kraken:BTC/USDT 1m, candle 2025-06-15T12:02Z; binance:ETH/USDT 5m, candle 2025-06-15T11:55Z)"
    )


SPEC_INDICATORS = {
    "sma": lambda c: talib.SMA(c.close, 20),
    "ema": lambda c: talib.EMA(c.close, 12),
    "atr": lambda c: talib.ATR(c.high, c.low, c.close, 14),
    "macd_hist": lambda c: talib.MACD(c.close)[2],
    "bollinger_middle": lambda c: talib.BBANDS(c.close, 20)[1],
    "volume_mean": lambda c: talib.SMA(c.volume, 20),
    "cci": lambda c: talib.CCI(c.high, c.low, c.close, 14),
    "stoch_slowk": lambda c: talib.STOCH(c.high, c.low, c.close)[0],
    "high": lambda c: c.high,
}


@pytest.mark.parametrize("name", SPEC_INDICATORS)
def test_every_indicator_is_an_operand(shared_data: Path, name: str) -> None:
    candles = recorded(shared_data / "ohlcv/binance/BTC-USDT_1h.csv.gz", "1h", "BTC/USD")
    desk = TemplateDesk(FileMarkets({("kraken", "BTC/USD", "1h"): candles}))
    values = SPEC_INDICATORS[name](candles)
    for index in np.linspace(5000, len(candles) - 1, 5).astype(int):
        now = to_datetime(int(candles.open_time[index])) + timedelta(hours=1)
        verdict = compared(desk, now, left={"indicator": name}, op=">", right=0)
        assert verdict.msg_args["left"] == pytest.approx(values[index], rel=1e-6, abs=1e-9)


def test_price_alone_needs_no_timeframe_and_names_its_market() -> None:
    desk = desk_of(BTC=[100.0])
    desk.markets.prices["BTC/USD"] = Decimal("99.5")
    params = {"left": {"indicator": "price", "symbol": "BTC/USD"}, "op": "<", "right": 100}
    verdict = try_template(desk.context(NOW), task_of("compare", params))
    assert verdict.passed
    assert verdict.msg == "price (last trade)=99.5, needs < 100 (kraken:BTC/USD)"


def test_price_of_another_market_is_told_apart() -> None:
    desk = desk_of(BTC=[100.0])
    desk.markets.prices["ETH/USD"] = Decimal(7)
    verdict = compared(desk, left=CLOSE, op=">", right={"indicator": "price", "symbol": "ETH/USD"})
    assert verdict.msg == (
        "kraken:BTC/USD close=100, needs > kraken:ETH/USD price (last trade)=7 "
        "(kraken:BTC/USD 1h, candle 2024-01-01T00:00Z; kraken:ETH/USD)"
    )


def test_candles_come_from_the_tasks_exchange_else_from_the_accounts() -> None:
    candles = drawn([5.0])
    desk = TemplateDesk(FileMarkets({("binance", "BTC/USD", "1h"): candles}))
    assert compared(desk, left=CLOSE, op=">", right=1, exchange="binance").passed
    elsewhere = task_of(
        "compare", {"symbol": "BTC/USD", "timeframe": "1h", "left": CLOSE, "op": ">", "right": 1}
    )
    assert try_template(desk.context(NOW, exchange="binance"), elsewhere).passed


VALID = {"symbol": "BTC/USD", "timeframe": "1h", "left": {"indicator": "rsi"}, "op": "<", "right": 30}


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"left": {"indicator": "rsii"}}, "left", "unknown indicator 'rsii'; expected one like rsi"),
        (
            {"left": {"indicator": "rsi", "lenght": 3}},
            "left",
            "rsi has no parameter 'lenght'; it takes: length",
        ),
        (
            {"left": {"indicator": "rsi", "length": 1}},
            "left",
            "rsi.length: expected a whole number from 2 to 100000, got 1",
        ),
        ({"left": {"indicator": "rsi", "offset": -1}}, "left.offset", "expected greater than or equal to 0"),
        (
            {"left": {"indicator": "ema", "length": 900}},
            "left",
            "expected an indicator of at most 1000 candles",
        ),
        ({"left": {"indicator": "price", "offset": 1}}, "left", "expected no offset for price"),
        (
            {"left": {"indicator": "rsi", "symbol": "BTCUSD"}},
            "left.symbol",
            "expected a symbol such as BTC/USD",
        ),
        ({"left": {"indicator": "rsi", "timeframe": "61m"}}, "left.timeframe", "unknown timeframe '61m'"),
        ({"right": "thirty"}, "right", "expected a number or an object"),
        ({"right": True}, "right", "expected a number or an object"),
        ({"right": float("nan")}, "right", "expected a number or an object"),
        ({"right": None}, "", "expected right with op <, got none"),
        (
            {"op": "="},
            "op",
            "expected '<', '<=', '>', '>=', 'crosses_above', 'crosses_below' or 'between', got '='",
        ),
        ({"op": "between"}, "", "expected low and high with op between, got right"),
        ({"low": 3}, "", "expected right with op <, got right and low"),
        ({"symbol": None}, "", "expected rsi to have its symbol, or the Task, got none"),
        ({"timeframe": None}, "", "expected rsi to have its timeframe, or the Task, got none"),
        (
            {"left": {"indicator": "price"}, "op": "crosses_above"},
            "",
            "expected closed candles with op crosses_above, got price, which is now: use close",
        ),
        ({"lefft": 3}, "lefft", "got 'lefft'; did you mean left?"),
    ],
)
def test_what_is_refused_names_field_and_expectation(changes: dict[str, Any], field: str, said: str) -> None:
    with pytest.raises(ParamsRefused) as refused:
        parse_params(find("compare"), {**VALID, **changes})
    [(place, problem)] = refused.value.problems
    assert place == field
    assert said in problem


def test_all_problems_are_said_at_once() -> None:
    given = {"sybmol": "BTC/USD", "timeframe": "61m", "left": {"indicator": "x"}, "op": "~", "right": "y"}
    with pytest.raises(ParamsRefused) as refused:
        parse_params(find("compare"), given)
    assert [field for field, _ in refused.value.problems] == ["sybmol", "timeframe", "left", "op", "right"]
    assert all(problem.count(" got ") <= 1 for _, problem in refused.value.problems)


@given(st.floats(min_value=1e-9, max_value=1e12) | st.floats(min_value=-1e12, max_value=-1e-9))
def test_numbers_are_written_in_full_to_eight_digits(value: float) -> None:
    text = f"{{v{number_format(value)}}}".format(v=value)
    assert "e" not in text
    assert float(text) == pytest.approx(value, rel=1e-7)
