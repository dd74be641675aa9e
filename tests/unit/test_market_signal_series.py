"""Signals of many candles at once are those of one candle after the other, in every number and word."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from missiondesk.market.candles import Candles
from missiondesk.market.ema_channel import EmaChannel
from missiondesk.market.panel import NewCandles
from missiondesk.market.regime import REGIMES, Regime
from missiondesk.market.signal_rows import ACTIONS, SIZES, STRATEGIES, CandleRows
from missiondesk.market.signal_series import explained, signal_series
from missiondesk.market.signal_settings import SignalSettings
from missiondesk.market.signals import signal
from missiondesk.market.situation import situation
from missiondesk.market.situation_series import Spans

HOUR = 3_600_000


def at(values: np.ndarray, row: int) -> float | None:
    return None if np.isnan(values[row]) else float(values[row])


def expect_the_same(series: list[Candles], rows: CandleRows) -> None:
    """Each row of `signal_series` against `situation` and `signal` at its candle."""
    found = signal_series(rows)
    told = list(explained(rows))
    candles_of_rows = [candles[:count] for candles in series for count in range(30, len(candles) + 1)]
    for row, candles in enumerate(candles_of_rows):
        channel = EmaChannel(
            float(candles.close[-1]),
            float(rows.upper[row]),
            float(rows.lower[row]),
            0.0,
            at(rows.volume_ratio, row),
        )
        seen = situation(
            candles,
            REGIMES[rows.regimes[row]],
            channel,
            at(rows.rsi, row),
            at(rows.macd, row),
            at(rows.macd_signal, row),
        )
        wanted = signal(seen)
        assert (ACTIONS[found.actions[row]], STRATEGIES[found.strategies[row]], SIZES[found.sizes[row]]) == (
            wanted.action,
            wanted.strategy,
            wanted.size,
        )
        assert found.confidence[row] == wanted.confidence
        prices = ("entry", "stop", "take_profit", "risk_percent", "reward_percent")
        assert [at(getattr(found, name), row) for name in prices] == [
            getattr(wanted, name) for name in prices
        ]
        assert json.loads(told[row][0]) == list(wanted.reasons)
        assert json.loads(told[row][1]) == wanted.breakdown_json()


def laid_out(series: list[Candles], **columns: np.ndarray) -> CandleRows:
    """Rows from the 30th candle of each series on; columns are cut from what is given for every candle."""
    spans, new = Spans(SignalSettings()), NewCandles.of(series)
    nothing = NewCandles.of([candles[:0] for candles in series])
    states = np.tile(spans.beginning, (len(series), 1))
    situations, _ = spans.continued(states, new, nothing)
    rows = np.flatnonzero(spans.counts(states, new) >= 30)
    chosen = {name: values[rows] for name, values in columns.items()}
    return CandleRows(at=situations.places[rows], situations=situations, **chosen)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32), st.lists(st.integers(1, 90), min_size=1, max_size=4))
def test_any_series_any_values(seed: int, lengths: list[int]) -> None:
    chance = np.random.default_rng(seed)
    series = []
    for length in lengths:
        # Coarse steps, so that values on a threshold and undefined ones come up.
        closes = np.round(np.exp(np.cumsum(chance.normal(0, 0.04, length))) * 100, chance.integers(0, 3)) + 1
        volumes = chance.integers(0, 4, length) * 1.0
        times = np.arange(length) * HOUR
        series.append(Candles(times, closes, closes, closes, closes, volumes, "1h"))
    closes = np.concatenate([candles.close for candles in series])
    count = len(closes)
    unknown = chance.random((3, count)) < 0.1
    lower = closes * chance.choice([0.8, 0.95, 0.99, 1.0, 1.02], count)
    columns = {
        "regimes": chance.integers(0, len(REGIMES), count),
        "lower": lower,
        "upper": lower * chance.choice([1.0, 1.01, 1.05, 1.3], count),
        "volume_ratio": np.where(unknown[0], np.nan, chance.choice([0.5, 1.2, 1.3], count)),
        "rsi": np.where(unknown[1], np.nan, chance.integers(20, 90, count) * 1.0),
        "macd": np.where(unknown[2], np.nan, chance.integers(-1, 2, count) * 1.0),
        "macd_signal": chance.integers(-1, 2, count) * 1.0,
    }
    expect_the_same(series, laid_out(series, **columns))


def test_a_long_series_knows_the_highest_of_its_last_365_closes_and_no_older_one(shared_data: Path) -> None:
    table = np.loadtxt(
        shared_data / "ohlcv/kraken/BTC-USD_1h.csv.gz", delimiter=",", skiprows=1, max_rows=900
    )
    columns = table.T
    candles = Candles(columns[0].astype(np.int64), *columns[1:6], "1h")
    closes = candles.close
    count = len(closes)
    expect_the_same(
        [candles],
        laid_out(
            [candles],
            regimes=np.full(count, REGIMES.index(Regime.TRENDING)),
            lower=closes * 0.97,
            upper=closes * 0.99,
            volume_ratio=np.full(count, 1.0),
            rsi=np.full(count, 55.0),
            macd=np.full(count, 1.0),
            macd_signal=np.full(count, 0.5),
        ),
    )


def test_confidence_stays_within_its_bounds_and_a_hold_has_no_prices() -> None:
    chance = np.random.default_rng(1)
    closes = np.exp(np.cumsum(chance.normal(0, 0.05, 3000)))
    candles = Candles(np.arange(3000) * HOUR, closes, closes, closes, closes, closes, "1h")
    found = signal_series(
        laid_out(
            [candles],
            regimes=chance.integers(0, 2, 3000),
            lower=closes * chance.uniform(0.5, 1.1, 3000),
            upper=closes * 1.1,
            volume_ratio=chance.uniform(0, 3, 3000),
            rsi=chance.uniform(0, 100, 3000),
            macd=chance.normal(size=3000),
            macd_signal=chance.normal(size=3000),
        )
    )
    assert found.confidence.min() >= 0 and found.confidence.max() <= 100
    hold = found.actions == ACTIONS.index("hold")
    assert hold.any() and not hold.all()
    for name in ("entry", "stop", "take_profit", "risk_percent", "reward_percent"):
        assert np.isnan(getattr(found, name)[hold]).all()
    assert (found.risk_percent[~hold] > 0).all()


@pytest.mark.parametrize("count", [0, 5])
def test_no_rows_are_no_signals(count: int) -> None:
    closes = np.ones(count)
    candles = Candles(np.arange(count) * HOUR, closes, closes, closes, closes, closes, "1h")
    names = ("regimes", "lower", "upper", "volume_ratio", "rsi", "macd", "macd_signal")
    columns = {name: np.zeros(count, dtype=np.int64 if name == "regimes" else float) for name in names}
    assert len(signal_series(laid_out([candles], **columns))) == 0
