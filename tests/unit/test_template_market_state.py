"""Regimes, signals and spreads as templates."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from missiondesk.market.candles import Candles, to_datetime
from missiondesk.market.regime import regime_at
from missiondesk.market.signals import signal_at
from missiondesk.templates.registry import find
from missiondesk.templates.run import try_template
from missiondesk.templates.validation import ParamsRefused, parse_params
from models.market import Ticker
from models.result import Verdict
from tests.template_ports import FileMarkets, TemplateDesk, recorded, task_of

HOUR = timedelta(hours=1)
NOW = datetime(2024, 1, 3, tzinfo=UTC)


@pytest.fixture
def ether(shared_data: Path) -> Candles:
    return recorded(shared_data / "ohlcv/kraken/ETH-USD_1h.csv.gz", "1h", "ETH/USD")


def tried(candles: Candles, now: datetime, template: str, **params: Any) -> Verdict:
    desk = TemplateDesk(FileMarkets({("kraken", "ETH/USD", "1h"): candles}))
    task = task_of(template, {"symbol": "ETH/USD", "timeframe": "1h", **params})
    return try_template(desk.context(now), task)


def moments(candles: Candles) -> list[int]:
    return [int(index) for index in np.linspace(4000, len(candles) - 1, 25)]


def test_the_regime_is_the_one_of_the_whole_history(ether: Candles) -> None:
    found = set()
    for index in moments(ether):
        now = to_datetime(int(ether.open_time[index])) + HOUR
        regime, channel, adx = regime_at(ether[: index + 1])
        verdict = tried(ether, now, "regime_is", regime="trending")
        assert verdict.passed is (regime == "trending")
        assert tried(ether, now, "regime_is", regime="RANGING").passed is (regime == "ranging")
        assert verdict.msg_args["adx"] == pytest.approx(adx, rel=1e-6)
        assert verdict.msg_args["inside"] == channel.in_channel_percent
        assert f"computed on the fly: kraken:ETH/USD 1h, candle {now - HOUR:%Y-%m-%dT%H:%MZ}" in verdict.msg
        found.add(regime)
    assert len(found) == 2


def test_the_signal_is_the_one_of_the_whole_history(ether: Candles) -> None:
    found = set()
    for index in moments(ether):
        now = to_datetime(int(ether.open_time[index])) + HOUR
        signal, _ = signal_at(ether[: index + 1])
        for action in ("buy", "sell", "hold"):
            verdict = tried(ether, now, "signal_is", signal=action)
            assert verdict.passed is (signal.action == action)
        assert verdict.msg.startswith(
            f"signal={signal.action} {signal.confidence} ({signal.reasons[0]}), needs hold"
        )
        for least, passes in (
            (signal.confidence, True),
            (min(signal.confidence + 1, 100), signal.confidence == 100),
        ):
            strict = tried(ether, now, "signal_is", signal=signal.action.upper(), min_confidence=least)
            assert strict.passed is passes
        found.add(signal.action)
    assert len(found) == 3


def test_too_few_candles_have_no_regime_and_no_signal(ether: Candles) -> None:
    now = to_datetime(int(ether.open_time[40])) + HOUR
    assert tried(ether, now, "regime_is", regime="trending").rule == "TOO_FEW_CANDLES"
    assert tried(ether, now, "signal_is", signal="hold").rule == "TOO_FEW_CANDLES"


def test_unknown_regimes_and_signals_are_refused() -> None:
    for template, field in (("regime_is", "regime"), ("signal_is", "signal")):
        with pytest.raises(ParamsRefused, match=f"{field}: expected '.*got 'sideways'"):
            parse_params(find(template), {"symbol": "ETH/USD", "timeframe": "1h", field: "sideways"})


# Spreads


def quoted(market: str, bid: str, ask: str, **changes: Any) -> Ticker:
    exchange, _, symbol = market.partition(":")
    ticker = Ticker(exchange, symbol, Decimal(bid), Decimal(ask), Decimal(bid), NOW)
    return replace(ticker, **changes)


A, B = "kraken:BTC/USD", "okx:BTC/USD:BTC-240329"


def spread(a: Ticker, b: Ticker, **params: Any) -> Verdict:
    desk = TemplateDesk(FileMarkets({}, tickers={A: a, B: b}))
    return try_template(desk.context(NOW), task_of("spread_above", {"a": A, "b": B, **params}))


def test_a_spread_is_what_can_be_executed() -> None:
    a, b = quoted(A, "105", "106"), quoted(B, "99", "100")
    verdict = spread(a, b, value=4.5)
    assert verdict.passed
    assert verdict.msg == f"spread=5, needs > 4.5 ({A} bid 105, {B} ask 100)"
    assert not spread(a, b, value=5).passed
    percent = spread(a, b, value=4.9, unit="percent")
    assert percent.passed
    assert percent.msg.startswith("spread in %=5, needs > 4.9")


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        (quoted(A, "0", "106"), quoted(B, "99", "100"), f"data stale: {A} has no bid"),
        (quoted(A, "105", "106"), quoted(B, "99", "0"), f"data stale: {B} has no ask"),
        (
            quoted(A, "105", "106", bid_amount=Decimal(0)),
            quoted(B, "99", "100"),
            f"data stale: {A} has no bid",
        ),
        (
            quoted(A, "105", "106"),
            quoted(B, "99", "100", at=NOW - timedelta(seconds=61)),
            f"data stale: the ticker of {B} is 61 s old, needs at most 60 s",
        ),
    ],
)
def test_an_empty_or_stale_side_is_never_priced_zero(a: Ticker, b: Ticker, said: str) -> None:
    verdict = spread(a, b, value=-1000)
    assert (verdict.passed, verdict.msg) == (False, said)


def test_a_ticker_of_sixty_seconds_still_counts() -> None:
    old = quoted(A, "105", "106", at=NOW - timedelta(seconds=60))
    assert spread(old, quoted(B, "99", "100"), value=1).passed


def test_a_market_may_be_called_by_a_name_that_rolls() -> None:
    desk = TemplateDesk(FileMarkets({}, tickers={A: quoted(A, "105", "106"), B: quoted(B, "99", "100")}))
    # On this day the quarter's contract is the one of 29 March.
    params = {"a": A, "b": "okex_future_btcusd_quarter", "value": 4.5}
    assert try_template(desk.context(NOW), task_of("spread_above", params)).passed


def test_market_names_have_known_forms() -> None:
    for name in ("okex_future_btcusd_month", "BTC/USD", "kraken:BTCUSD", "kraken:"):
        with pytest.raises(ParamsRefused, match="a: expected a market in one of the forms"):
            parse_params(find("spread_above"), {"a": name, "b": B, "value": 1})
