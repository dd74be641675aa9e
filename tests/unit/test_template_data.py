"""The data templates on recorded candles: every number in a message is TA-Lib's on the closed candles."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import talib

from missiondesk.market.candles import Candles, to_datetime
from missiondesk.templates.run import try_template
from models.result import Verdict
from tests.template_ports import FileMarkets, TemplateDesk, drawn, recorded, task_of

HOUR = timedelta(hours=1)
MARKET = {"symbol": "BTC/USD", "timeframe": "1h"}


@pytest.fixture
def bitcoin(shared_data: Path) -> Candles:
    """Kraken's BTC/USD by the hour, with its gaps."""
    return recorded(shared_data / "ohlcv/kraken/BTC-USD_1h.csv.gz", "1h", "BTC/USD")


@pytest.fixture
def desk(bitcoin: Candles, shared_data: Path) -> TemplateDesk:
    quarters = recorded(shared_data / "ohlcv/kraken/ETH-USD_1h.csv.gz", "1h", "ETH/USD")
    markets = FileMarkets(
        {("kraken", "BTC/USD", "1h"): bitcoin, ("kraken", "ETH/USD", "1h"): quarters},
    )
    return TemplateDesk(markets)


def moments(candles: Candles) -> list[int]:
    """Candles all over the file, as indices."""
    return [int(index) for index in np.linspace(2000, len(candles) - 1, 12)]


def closing(candles: Candles, index: int) -> datetime:
    return to_datetime(int(candles.open_time[index])) + HOUR


def verdict_at(desk: TemplateDesk, now: datetime, template: str, **params: Any) -> Verdict:
    return try_template(desk.context(now), task_of(template, {**MARKET, **params}))


Reference = Callable[[Candles], np.ndarray]

NAMED: list[tuple[str, dict[str, Any], str, Reference, Reference | float]] = [
    ("rsi_below", {}, "<", lambda c: talib.RSI(c.close, 14), 30),
    ("rsi_below", {"length": 7, "value": 45}, "<", lambda c: talib.RSI(c.close, 7), 45),
    ("rsi_above", {}, ">", lambda c: talib.RSI(c.close, 14), 70),
    ("adx_above", {}, ">", lambda c: talib.ADX(c.high, c.low, c.close, 14), 25),
    ("price_below_ma", {}, "<", lambda c: c.close, lambda c: talib.SMA(c.close, 20)),
    ("price_below_lower_band", {}, "<", lambda c: c.close, lambda c: talib.BBANDS(c.close, 20, 2, 2)[2]),
    ("price_above_upper_band", {}, ">", lambda c: c.close, lambda c: talib.BBANDS(c.close, 20, 2, 2)[0]),
    ("price_below_open", {}, "<", lambda c: c.close, lambda c: c.open),
    ("volume_above_mean", {}, ">", lambda c: c.volume, lambda c: talib.SMA(c.volume, 3)),
    ("volume_below_mean", {}, "<", lambda c: c.volume, lambda c: talib.SMA(c.volume, 3)),
    ("ema_channel_breakout", {}, ">", lambda c: c.close, lambda c: talib.EMA(c.high, 33)),
    ("ema_channel_breakout", {"direction": "down"}, "<", lambda c: c.close, lambda c: talib.EMA(c.low, 33)),
]


@pytest.mark.parametrize(("template", "params", "op", "left", "right"), NAMED)
def test_numbers_are_those_of_talib_on_the_whole_file(
    desk: TemplateDesk,
    bitcoin: Candles,
    template: str,
    params: dict[str, Any],
    op: str,
    left: Reference,
    right: Reference | float,
) -> None:
    lefts = left(bitcoin)
    rights = right(bitcoin) if callable(right) else np.full(len(bitcoin), float(right))
    for index in moments(bitcoin):
        verdict = verdict_at(desk, closing(bitcoin, index), template, **params)
        assert verdict.rule == template.upper()
        assert verdict.msg_args["left"] == pytest.approx(lefts[index], rel=1e-6)
        assert verdict.msg_args["right"] == pytest.approx(rights[index], rel=1e-6)
        expected = lefts[index] < rights[index] if op == "<" else lefts[index] > rights[index]
        assert verdict.passed is bool(expected)


def test_the_text_is_readable_and_exact(desk: TemplateDesk, bitcoin: Candles) -> None:
    index = len(bitcoin) - 1
    verdict = verdict_at(desk, closing(bitcoin, index), "rsi_below")
    said = re.fullmatch(
        r"RSI\(14\)=(?P<value>[\d.]+), needs < 30 \(kraken:BTC/USD 1h, candle 2021-12-31T23:00Z\)",
        verdict.msg,
    )
    assert said is not None, verdict.msg
    assert float(said["value"]) == pytest.approx(talib.RSI(bitcoin.close, 14)[index], rel=1e-6)


def test_open_within_the_band_around_the_mean(desk: TemplateDesk, bitcoin: Candles) -> None:
    mean = talib.SMA(bitcoin.close, 20)
    for value in (10, 0.5):
        for index in moments(bitcoin):
            now = closing(bitcoin, index)
            verdict = verdict_at(desk, now, "open_within_ma_band", value=value)
            low, high = (1 - value / 100) * mean[index], (1 + value / 100) * mean[index]
            assert verdict.passed is bool(low <= bitcoin.open[index] <= high)
            assert verdict.msg_args["low"] == pytest.approx(low, rel=1e-9)
            assert verdict.msg_args["high"] == pytest.approx(high, rel=1e-9)
    assert "0.995·SMA(20)=" in verdict.msg


def test_macd_crosses_its_signal_between_the_last_two_closed_candles(
    desk: TemplateDesk, bitcoin: Candles
) -> None:
    macd, signal, _ = talib.MACD(bitcoin.close, 12, 26, 9)
    above = macd > signal
    crossed = np.flatnonzero(above[1:] & ~above[:-1])[-5:] + 1
    for index in [*crossed, *(crossed + 1), *(crossed - 1)]:
        verdict = verdict_at(desk, closing(bitcoin, index), "macd_cross")
        assert verdict.passed is bool(above[index] and not above[index - 1])
        assert verdict.msg_args["left_before"] == pytest.approx(macd[index - 1], rel=1e-6)
        assert verdict.msg_args["right_before"] == pytest.approx(signal[index - 1], rel=1e-6)
        down = verdict_at(desk, closing(bitcoin, index), "macd_cross", direction="down")
        assert down.passed is bool(not above[index] and above[index - 1])


def test_only_closed_candles_count(desk: TemplateDesk, bitcoin: Candles) -> None:
    index = len(bitcoin) - 5
    closed = closing(bitcoin, index)
    at_close = verdict_at(desk, closed, "rsi_below")
    just_before_the_next = verdict_at(desk, closed + HOUR - timedelta(milliseconds=1), "rsi_below")
    assert just_before_the_next == at_close
    assert verdict_at(desk, closed + HOUR, "rsi_below") != at_close


def test_missing_bars_are_stated_and_not_invented(desk: TemplateDesk, bitcoin: Candles) -> None:
    spans = (bitcoin.open_time[19:] - bitcoin.open_time[:-19]) // 3_600_000
    for missing, said in ((1, "1 bar missing"), (3, "3 bars missing")):
        index = int(np.flatnonzero(spans == 19 + missing)[-1]) + 19
        verdict = verdict_at(desk, closing(bitcoin, index), "price_below_ma")
        assert verdict.msg.endswith(f", {said})")
        assert verdict.msg_args["right"] == pytest.approx(bitcoin.close[index - 19 : index + 1].mean())


def test_the_price_now_says_which_price_it_is(desk: TemplateDesk, bitcoin: Candles) -> None:
    now = closing(bitcoin, len(bitcoin) - 1)
    assert verdict_at(desk, now, "price_below_open").msg.startswith("price (1m close)=")
    desk.markets.prices["BTC/USD"] = Decimal("0.00001234")
    verdict = verdict_at(desk, now, "price_below_open")
    assert verdict.passed
    assert verdict.msg.startswith("price (last trade)=0.00001234, needs < open=")


def test_too_few_candles_is_no_guess(desk: TemplateDesk, bitcoin: Candles) -> None:
    verdict = verdict_at(desk, closing(bitcoin, 20), "rsi_below")
    assert (verdict.passed, verdict.rule) == (False, "TOO_FEW_CANDLES")
    assert verdict.msg == "too few candles: RSI(14) needs 29 closed 1h candles of BTC/USD, got 21"


def test_stale_data_waits(desk: TemplateDesk, bitcoin: Candles) -> None:
    desk.markets.stale.add("BTC/USD")
    verdict = verdict_at(desk, closing(bitcoin, 5000), "rsi_below")
    assert (verdict.passed, verdict.rule) == (False, "DATA_STALE")
    assert verdict.msg.startswith("data stale: ")


def test_an_indicator_without_a_value_waits() -> None:
    still = drawn([100.0] * 400)
    desk = TemplateDesk(FileMarkets({("kraken", "BTC/USD", "1h"): still}))
    verdict = verdict_at(desk, closing(still, 399), "rsi_below")
    assert (verdict.passed, verdict.rule) == (False, "UNDEFINED")


def test_each_series_is_asked_for_once_and_never_more_than_a_thousand_candles(
    desk: TemplateDesk, bitcoin: Candles
) -> None:
    verdict_at(desk, closing(bitcoin, 9000), "macd_cross")
    verdict_at(desk, closing(bitcoin, 9000), "price_below_ma", length=200)
    verdict_at(desk, closing(bitcoin, 9000), "adx_above", length=100)
    assert [count for _, count in desk.markets.asked] == [662, 200, 1000]


def test_values_are_the_same_whatever_lies_before_the_candles_asked_for(bitcoin: Candles) -> None:
    whole = TemplateDesk(FileMarkets({("kraken", "BTC/USD", "1h"): bitcoin}))
    newest = TemplateDesk(FileMarkets({("kraken", "BTC/USD", "1h"): bitcoin[-719:]}))
    now = datetime(2022, 1, 1, tzinfo=UTC)
    for template in ("rsi_below", "macd_cross", "adx_above", "ema_channel_breakout"):
        assert verdict_at(whole, now, template) == verdict_at(newest, now, template)
