"""Signals: every list at every limit, and what holds for any market."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from missiondesk.market.candles import Candles
from missiondesk.market.ema_channel import EmaChannel
from missiondesk.market.regime import Regime
from missiondesk.market.signal_settings import Lines, SignalSettings, first_match
from missiondesk.market.signals import Action, Signal, Size, Strategy, pnl_percent, signal, signal_at
from missiondesk.market.situation import Divergence, Situation
from models.errors import TooFewCandles

SETTINGS = SignalSettings()


def market(
    close: float,
    regime: Regime = Regime.TRENDING,
    *,
    lower: float = 100,
    upper: float = 110,
    volume_ratio: float | None = 1.0,
    rsi: float | None = 65,
    macd: float | None = 0,
    macd_signal: float | None = 0,
    short_gain: float | None = 0,
    long_gain: float | None = 0,
    from_high: float = -30,
    divergence: Divergence | None = None,
) -> Situation:
    """A market whose other values match no list, so that a test sees the points of the one it sets."""
    channel = EmaChannel(close, upper, lower, 50, volume_ratio)
    return Situation(regime, channel, rsi, macd, macd_signal, short_gain, long_gain, from_high, divergence)


def points(found: Signal, word: str) -> int:
    return sum(item.points for item in found.breakdown if word in item.reason)


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("buy_position", {200.01: -40, 200: -30, 150.01: -30, 150: -20, 100.01: -20, 100: 0}),
        ("buy_deviation", {2.99: -5, 3: -15, 4.99: -15, 5: -25, 9.99: -25, 10: -40, 99: -40}),
        ("buy_rsi", {80.1: -25, 80: -15, 70.1: -15, 70: 0, 60: 0, 59.9: 10, 0: 10}),
        ("buy_short_gain", {20.1: -20, 20: -10, 10.1: -10, 10: -5, 7.1: -5, 7: 0, -50: 0}),
        ("buy_long_gain", {40.1: -15, 40: -5, 20.1: -5, 20: 0}),
        ("buy_from_high", {0: -20, -4.9: -20, -5: -10, -14.9: -10, -15: 0, -50: 0, -50.1: 15}),
        ("trend_volume_ratio", {1.21: 10, 1.2: 0, 0: 0}),
        ("sell_position", {-0.01: -20, 0: 0}),
        ("sell_rsi", {29.9: -15, 30: -10, 39.9: -10, 40: 0}),
        ("reversion_buy_position", {29.9: 15, 30: 0}),
        ("reversion_buy_rsi", {34.9: 20, 35: 10, 44.9: 10, 45: 0}),
        ("reversion_sell_position", {70.1: 15, 70: 0}),
        ("reversion_sell_rsi", {65.1: 20, 65: 10, 55.1: 10, 55: 0}),
    ],
)
def test_lists_at_their_limits(field: str, expected: dict[float, int]) -> None:
    lines: Lines = getattr(SETTINGS, field)
    found = {value: first_match(lines, value) for value in expected}
    assert {value: line.points if line else 0 for value, line in found.items()} == expected


# What each list is fed with: (situation, word in the reason, points).
@pytest.mark.parametrize(
    ("seen", "word", "expected"),
    [
        (market(120.01), "position", -40),
        (market(120), "position", -30),
        (market(115), "position", -20),
        (market(113.29), "deviation", -5),
        (market(113.3), "deviation", -15),
        (market(115.5), "deviation", -25),
        (market(121), "deviation", -40),
        (market(111, rsi=81), "RSI", -25),
        (market(111, rsi=None), "RSI", 0),
        (market(111, short_gain=10.5), "10-bar", -10),
        (market(111, long_gain=21), "20-bar", -5),
        (market(111, from_high=0), "highest close", -20),
        (market(111, divergence=Divergence.BEARISH), "divergence", -15),
        (market(111, divergence=Divergence.BULLISH), "divergence", 0),
        (market(111), "trending", 15),
        (market(111, volume_ratio=1.3), "volume", 10),
        (market(111, volume_ratio=None), "volume", 0),
        (market(111, macd=2, macd_signal=1), "MACD", 10),
        (market(111, macd=1, macd_signal=1), "MACD", 0),
        (market(111, macd=None), "MACD", 0),
        (market(99), "position", -20),
        (market(99, rsi=29), "RSI", -15),
        (market(99), "trending down", 15),
        (market(99, volume_ratio=1.3), "volume", 10),
        (market(99, macd=1, macd_signal=2), "MACD", 10),
        (market(99, macd=2, macd_signal=1), "MACD", 0),
        (market(99, divergence=Divergence.BULLISH), "divergence", -15),
        (market(99, divergence=Divergence.BEARISH), "divergence", 0),
        (market(100.5, Regime.RANGING), "position", 15),
        (market(100.5, Regime.RANGING, rsi=40), "RSI", 10),
        (market(109.5, Regime.RANGING), "position", 15),
        (market(109.5, Regime.RANGING, rsi=66), "RSI", 20),
    ],
)
def test_points_come_from_the_situation(seen: Situation, word: str, expected: int) -> None:
    assert points(signal(seen), word) == expected


@pytest.mark.parametrize(
    ("close", "regime", "action", "strategy"),
    [
        (110.01, Regime.TRENDING, Action.BUY, Strategy.TREND_FOLLOW),
        (110, Regime.TRENDING, Action.HOLD, Strategy.TREND_FOLLOW),
        (100, Regime.TRENDING, Action.HOLD, Strategy.TREND_FOLLOW),
        (99.99, Regime.TRENDING, Action.SELL, Strategy.TREND_FOLLOW),
        (99.01, Regime.RANGING, Action.BUY, Strategy.MEAN_REVERSION),
        (99, Regime.RANGING, Action.HOLD, Strategy.MEAN_REVERSION),
        (100, Regime.RANGING, Action.BUY, Strategy.MEAN_REVERSION),
        (100.99, Regime.RANGING, Action.BUY, Strategy.MEAN_REVERSION),
        (101, Regime.RANGING, Action.HOLD, Strategy.MEAN_REVERSION),
        (109, Regime.RANGING, Action.HOLD, Strategy.MEAN_REVERSION),
        (109.01, Regime.RANGING, Action.SELL, Strategy.MEAN_REVERSION),
        (110, Regime.RANGING, Action.SELL, Strategy.MEAN_REVERSION),
        (111, Regime.RANGING, Action.HOLD, Strategy.MEAN_REVERSION),
    ],
)
def test_what_is_done_where(close: float, regime: Regime, action: Action, strategy: Strategy) -> None:
    found = signal(market(close, regime, rsi=50))
    assert (found.action, found.strategy) == (action, strategy)


def test_nothing_to_do_is_said_with_confidence_0() -> None:
    inside = signal(market(105))
    assert (inside.confidence, inside.reasons) == (0, ("trending, but inside the channel",))
    between = signal(market(105, Regime.RANGING))
    assert between.reasons == ("ranging, away from both edges of the channel",)


def test_a_trend_buy_in_full() -> None:
    found = signal(market(111, rsi=55, volume_ratio=1.5, macd=2, macd_signal=1))
    assert [(item.reason, item.points) for item in found.breakdown] == [
        ("base", 50),
        ("position in the channel 110.00 is above 100", -20),
        ("deviation from the upper edge 0.91 is below 3", -5),
        ("RSI 55.00 is below 60", 10),
        ("trending", 15),
        ("volume ratio 1.50 is above 1.2", 10),
        ("MACD above its signal", 10),
    ]
    assert (found.action, found.size, found.confidence) == (Action.BUY, Size.FULL, 70)
    assert (found.entry, found.stop, found.take_profit) == (111, 100, None)
    assert found.risk_percent == pytest.approx(11 / 111 * 100)
    assert found.reward_percent is None
    assert json.loads(json.dumps(found.breakdown_json()))[1]["points"] == -20


@pytest.mark.parametrize(
    ("changes", "confidence", "action", "size"),
    [
        ({"volume_ratio": 1.3}, 50, Action.BUY, Size.FULL),
        ({"rsi": 71, "macd": 1, "volume_ratio": 2}, 45, Action.BUY, Size.SMALL),
        ({"short_gain": 15}, 30, Action.BUY, Size.SMALL),
        ({"divergence": Divergence.BEARISH}, 25, Action.HOLD, Size.NONE),
    ],
)
def test_confidence_decides_the_size(
    changes: dict[str, float], confidence: int, action: Action, size: Size
) -> None:
    found = signal(market(111, **changes))  # 50 − 20 − 5 + 15 = 40 without changes
    assert (found.confidence, found.action, found.size) == (confidence, action, size)


def test_chasing_is_refused_with_its_reasons() -> None:
    found = signal(market(130, rsi=90, short_gain=30, long_gain=50, from_high=0))
    assert (found.action, found.confidence) == (Action.HOLD, 0)
    assert found.reasons[0] == "too risky to chase"
    assert sum(item.points for item in found.breakdown) < 0
    assert (found.entry, found.stop, found.risk_percent) == (None, None, None)


def test_a_trend_sell_in_full() -> None:
    found = signal(market(98, rsi=45, volume_ratio=1.5, macd=1, macd_signal=2))
    assert (found.action, found.size, found.confidence) == (Action.SELL, Size.FULL, 65)
    assert (found.entry, found.stop, found.take_profit) == (98, 110, None)
    assert found.risk_percent == pytest.approx(12 / 98 * 100)
    panic = signal(market(98, rsi=20, divergence=Divergence.BULLISH))
    assert (panic.action, panic.confidence) == (Action.HOLD, 15)


def test_reversion_in_full() -> None:
    bought = signal(market(100.5, Regime.RANGING, rsi=30))
    assert (bought.confidence, bought.entry, bought.stop, bought.take_profit) == (80, 100.5, 98, 105)
    assert bought.risk_percent == pytest.approx(2.5 / 100.5 * 100)
    assert bought.reward_percent == pytest.approx(4.5 / 100.5 * 100)
    sold = signal(market(109.5, Regime.RANGING, rsi=60))
    assert (sold.confidence, sold.entry, sold.take_profit) == (70, 109.5, 105)
    assert sold.stop == pytest.approx(112.2)
    assert sold.risk_percent == pytest.approx(2.7 / 109.5 * 100)
    assert sold.reward_percent == pytest.approx(4.5 / 109.5 * 100)


def test_a_stop_on_the_wrong_side_holds() -> None:
    bought = signal(market(97, Regime.RANGING, upper=150))
    assert (bought.action, bought.stop) == (Action.HOLD, None)
    assert bought.reasons[0] == "the stop 98 is on the wrong side of the entry 97"
    on_the_stop = signal(market(98, Regime.RANGING, upper=150))
    assert on_the_stop.action is Action.HOLD
    sold = signal(market(154, Regime.RANGING, upper=150))
    assert "wrong side" in sold.reasons[0]


def test_a_channel_without_width_gives_no_position() -> None:
    assert signal(market(110, Regime.RANGING, lower=110)).action is Action.HOLD
    assert points(signal(market(111, lower=110)), "position") == 0


def test_profit_counts_a_sell_as_a_short() -> None:
    assert pnl_percent(Action.BUY, 100, 110) == 10
    assert pnl_percent(Action.SELL, 100, 110) == -10
    assert pnl_percent(Action.HOLD, 100, 110) is None


def test_thresholds_are_settings() -> None:
    strict = replace(SETTINGS, hold_below=45, buy_rsi=())
    assert signal(market(111, rsi=90), strict).action is Action.HOLD
    assert points(signal(market(111, rsi=90), strict), "RSI") == 0
    assert (
        signal(market(102, Regime.RANGING), replace(SETTINGS, reversion_near_percent=25)).action is Action.BUY
    )


PRICE = st.floats(0.01, 1e6)
SITUATIONS = st.builds(
    market,
    PRICE,
    st.sampled_from(Regime),
    lower=PRICE,
    upper=PRICE,
    volume_ratio=st.none() | st.floats(0, 50),
    rsi=st.none() | st.floats(0, 100),
    macd=st.none() | st.floats(-100, 100),
    macd_signal=st.none() | st.floats(-100, 100),
    short_gain=st.none() | st.floats(-100, 1000),
    long_gain=st.none() | st.floats(-100, 1000),
    from_high=st.floats(-100, 0),
    divergence=st.none() | st.sampled_from(Divergence),
)


@given(SITUATIONS)
def test_what_holds_for_any_signal(seen: Situation) -> None:
    seen = replace(seen, channel=ordered(seen.channel))
    found = signal(seen)
    total = sum(item.points for item in found.breakdown)
    assert found.confidence == max(0, min(100, total))
    assert found.reasons
    numbers = (found.entry, found.stop, found.risk_percent)
    if found.action is Action.HOLD:
        assert numbers == (None, None, None)
        assert (found.take_profit, found.reward_percent, found.size) == (None, None, Size.NONE)
        return
    assert found.size is not Size.NONE
    assert found.entry == seen.channel.close
    assert found.entry is not None and found.stop is not None and found.risk_percent is not None
    assert found.risk_percent > 0
    assert (found.stop < found.entry) == (found.action is Action.BUY)
    assert (found.take_profit is None) == (found.strategy is Strategy.TREND_FOLLOW)
    if found.take_profit is not None:
        assert found.reward_percent is not None and found.reward_percent > 0
    if found.strategy is Strategy.TREND_FOLLOW:
        assert found.confidence >= SETTINGS.hold_below
        assert (found.size is Size.SMALL) == (found.action is Action.BUY and found.confidence < 50)


@given(SITUATIONS, st.floats(0, 100), st.floats(0, 100))
def test_a_higher_rsi_never_makes_buying_surer_nor_selling_less_sure(
    seen: Situation, one: float, other: float
) -> None:
    seen = replace(seen, channel=ordered(seen.channel))
    calm, hot = (signal(replace(seen, rsi=rsi)).confidence for rsi in sorted((one, other)))
    if seen.channel.close > seen.channel.upper:
        assert hot <= calm or seen.regime is Regime.RANGING
    if seen.channel.close < seen.channel.lower:
        assert hot >= calm or seen.regime is Regime.RANGING


def ordered(channel: EmaChannel) -> EmaChannel:
    edges = sorted((channel.lower, channel.upper))
    return replace(channel, lower=edges[0], upper=edges[1])


def test_a_signal_straight_from_candles() -> None:
    count = 120
    closes = 100 * 1.004 ** np.arange(count)
    candles = Candles(
        3_600_000 * np.arange(count), closes, closes * 1.001, closes * 0.999, closes, np.ones(count), "1h"
    )
    found, seen = signal_at(candles)
    assert seen.regime is Regime.TRENDING
    assert seen.from_high == 0
    assert seen.short_gain == pytest.approx((1.004**10 - 1) * 100)
    assert found.strategy is Strategy.TREND_FOLLOW
    with pytest.raises(TooFewCandles, match="needs 65"):
        signal_at(candles[:64])
