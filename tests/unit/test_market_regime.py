"""The EMA channel and the regime of a market."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from missiondesk.market.candles import Candles
from missiondesk.market.ema_channel import (
    Direction,
    EmaChannel,
    channel_at,
    in_channel_percents,
    volume_ratios,
)
from missiondesk.market.indicators import indicator, value_at
from missiondesk.market.regime import Regime, RegimeSettings, regime, regime_at
from models.errors import TooFewCandles


@pytest.mark.parametrize(
    ("adx", "in_channel_percent", "expected"),
    [
        (25.01, 54.9, "trending"),
        (25.01, 55, "trending"),  # the tie-breaker: ADX > 22
        (25, 50, "trending"),
        (22.01, 100, "trending"),
        (22, 0, "ranging"),
        (21, 50, "ranging"),
        (20, 71, "ranging"),
        (19.99, 70.1, "ranging"),
        (19.99, 70, "ranging"),
        (0, 0, "ranging"),
        (100, 0, "trending"),
    ],
)
def test_regimes_at_their_edges(adx: float, in_channel_percent: float, expected: str) -> None:
    assert regime(adx, in_channel_percent) == expected


def test_each_threshold_is_a_setting() -> None:
    """With the tie-breaker out of reach the first two lines show."""
    first = RegimeSettings(otherwise_trending_above_adx=99)
    assert [regime(25.01, share, first) for share in (54.9, 55)] == [Regime.TRENDING, Regime.RANGING]
    assert [regime(adx, 50, first) for adx in (25, 25.01)] == [Regime.RANGING, Regime.TRENDING]
    second = RegimeSettings(otherwise_trending_above_adx=-1)
    assert [regime(19, share, second) for share in (70, 70.1)] == [Regime.TRENDING, Regime.RANGING]
    assert [regime(adx, 80, second) for adx in (19.99, 20)] == [Regime.RANGING, Regime.TRENDING]


@given(st.floats(0, 100), st.floats(0, 100), st.floats(0, 100))
def test_a_stronger_trend_never_turns_trending_into_ranging(one: float, other: float, share: float) -> None:
    weak, strong = (regime(adx, share) for adx in sorted((one, other)))
    assert weak is not Regime.TRENDING or strong is Regime.TRENDING


@pytest.mark.parametrize(
    ("close", "direction"),
    [(110.1, Direction.UP), (110, Direction.NEUTRAL), (100, Direction.NEUTRAL), (99.9, Direction.DOWN)],
)
def test_an_edge_belongs_to_the_channel(close: float, direction: Direction) -> None:
    channel = EmaChannel(close, upper=110, lower=100, in_channel_percent=0, volume_ratio=None)
    assert channel.direction is direction
    assert channel.width_percent == 10


def test_the_share_of_closes_inside_the_latest_channel() -> None:
    closes = np.array([99.9, 100, 105, 110, 110.1] * 4)
    share = in_channel_percents(closes, np.array([110.0]), np.array([100.0]))
    assert share.tolist() == [60]


def test_a_volume_ratio_without_volume_is_undefined() -> None:
    assert np.isnan(volume_ratios(np.zeros(20))[0])
    assert volume_ratios(np.array([1.0] * 19 + [21.0])).tolist() == [10.5]


def test_the_channel_of_candles() -> None:
    count = 80
    closes = 100 + np.sin(np.arange(count))
    candles = Candles(
        60_000 * np.arange(count), closes, closes + 0.5, closes - 0.5, closes, np.arange(count), "1m"
    )
    found, channel, adx = regime_at(candles)
    assert channel == channel_at(candles)
    assert channel.upper == value_at(candles, indicator("ema_channel_upper"))
    assert channel.lower == value_at(candles, indicator("ema_channel_lower"))
    inside = (candles.close[-20:] >= channel.lower) & (candles.close[-20:] <= channel.upper)
    assert channel.in_channel_percent == inside.mean() * 100
    assert channel.volume_ratio == pytest.approx(79 / np.arange(60, 80).mean())
    assert found is regime(adx, channel.in_channel_percent)
    with pytest.raises(TooFewCandles, match=r"EMA channel upper\(33\) needs 65"):
        channel_at(candles[:64])
