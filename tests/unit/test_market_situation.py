"""What the candles before a signal say, at the edges that signals look at."""

from __future__ import annotations

import numpy as np
import pytest

from missiondesk.market.candles import Candles
from missiondesk.market.ema_channel import EmaChannel
from missiondesk.market.regime import Regime
from missiondesk.market.situation import Divergence, divergence, gain, percent, situation
from models.errors import TooFewCandles

CHANNEL = EmaChannel(close=107, upper=105, lower=100, in_channel_percent=50, volume_ratio=1)


def history(*closes: float) -> Candles:
    prices = np.array(closes, dtype=np.float64)
    return Candles(3_600_000 * np.arange(len(prices)), *[prices] * 4, np.ones(len(prices)), "1h", "BTC/USD")


@pytest.mark.parametrize(
    ("close", "before", "expected"),
    [
        (107, 100, 7),
        (1.07, 1.0, 7),
        (110, 100, 10),
        (1.1, 1.0, 10),
        (1.2, 1.0, 20),
        (0.7, 0.5, 40),
        (95, 100, -5),
    ],
)
def test_a_gain_stands_exactly_on_its_threshold(close: float, before: float, expected: float) -> None:
    assert gain(np.array([before, 50, close]), 2) == expected


def test_gains_with_too_few_bars_are_unknown() -> None:
    assert gain(np.ones(10), 10) is None
    assert gain(np.ones(11), 10) == 0
    assert percent(1, 0) is None


def test_the_situation_of_a_market() -> None:
    candles = history(*[200.0], *[100.0] * 364, 107)
    seen = situation(candles, Regime.TRENDING, CHANNEL, 60, 2, 1)
    assert (seen.short_gain, seen.long_gain) == (7, 7)
    assert seen.from_high == 0  # the 200 is 366 bars old
    assert seen.position == 140
    assert seen.deviation == pytest.approx(2 / 105 * 100)
    assert situation(candles[:365], Regime.TRENDING, CHANNEL, 60, 2, 1).from_high == -50


def test_a_signal_needs_thirty_candles() -> None:
    short = history(*[100.0] * 29)
    with pytest.raises(TooFewCandles, match="a signal needs 30 closed 1h candles of BTC/USD, got 29"):
        situation(short, Regime.RANGING, CHANNEL, None, None, None)
    seen = situation(history(*[100.0] * 30), Regime.RANGING, CHANNEL, None, None, None)
    assert (seen.from_high, seen.divergence) == (0, None)


@pytest.mark.parametrize(
    ("price", "volume", "expected"),
    [
        (105.01, 79.99, Divergence.BEARISH),
        (105, 79, None),
        (106, 80, None),
        (94.99, 79.99, Divergence.BULLISH),
        (95, 79, None),
        (94, 80, None),
        (100, 50, None),
        (120, 120, None),
    ],
)
def test_divergence_at_its_edges(price: float, volume: float, expected: Divergence | None) -> None:
    closes = np.array([100.0] * 5 + [price] * 5)
    volumes = np.array([100.0] * 5 + [volume] * 5)
    assert divergence(closes, volumes) is expected


def test_divergence_needs_ten_bars_and_a_volume() -> None:
    assert divergence(np.ones(9), np.ones(9)) is None
    closes = np.array([100.0] * 5 + [120.0] * 5)
    assert divergence(closes, np.zeros(10)) is None
    assert divergence(np.append(7.0, closes), np.append(7.0, np.repeat([9.0, 5.0], 5))) is Divergence.BEARISH
