"""Operands on closed candles: names, parameters, warm-up, and agreement with TA-Lib."""

from __future__ import annotations

import numpy as np
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st

from missiondesk.market.candles import Candles
from missiondesk.market.definitions import UnknownIndicator
from missiondesk.market.indicators import (
    UndefinedIndicator,
    default_parameters,
    indicator,
    indicator_names,
    series,
    value_at,
)
from models.errors import InputRefused, TooFewCandles

SPEC_NAMES = [
    "open",
    "high",
    "low",
    "close",
    "volume",
    "price",
    "sma",
    "ema",
    "rsi",
    "macd",
    "macd_signal",
    "macd_hist",
    "adx",
    "atr",
    "bollinger_upper",
    "bollinger_middle",
    "bollinger_lower",
    "ema_channel_upper",
    "ema_channel_lower",
    "volume_mean",
]


def walk(count: int, seed: int = 1) -> Candles:
    random = np.random.default_rng(seed)
    closes = 30_000 * np.exp(random.normal(0, 0.01, count).cumsum())
    opens = closes * np.exp(random.normal(0, 0.005, count))
    return Candles(
        3_600_000 * np.arange(count),
        opens,
        np.maximum(opens, closes) * 1.002,
        np.minimum(opens, closes) * 0.997,
        closes,
        random.uniform(0, 50, count),
        "1h",
        "BTC/USD",
    )


def test_every_name_users_may_write_is_there() -> None:
    assert set(SPEC_NAMES) <= set(indicator_names())
    assert {"cci", "willr", "stoch_slowk", "wma", "mfi", "obv", "cdldoji"} <= set(indicator_names())


@pytest.mark.parametrize("name", indicator_names())
def test_a_value_appears_exactly_when_it_becomes_reliable(name: str) -> None:
    spec = indicator(name)
    candles = walk(spec.needed)
    with pytest.raises(TooFewCandles, match=f"needs {spec.needed} closed 1h candles of BTC/USD"):
        value_at(candles[1:], spec)
    assert np.isnan(series(candles[1:], spec)).all()
    assert np.isnan(series(candles, spec)[:-1]).all()
    assert spec.wanted >= spec.needed


def test_too_few_candles_say_how_many_are_needed() -> None:
    with pytest.raises(TooFewCandles) as caught:
        value_at(walk(20), indicator("rsi"))
    assert str(caught.value) == "RSI(14) needs 29 closed 1h candles of BTC/USD, got 20"
    with pytest.raises(TooFewCandles, match=r"RSI\(14\) 3 candles back needs 32 closed"):
        value_at(walk(31), indicator("rsi"), offset=3)


@pytest.mark.parametrize(
    ("name", "needed", "label"),
    [
        ("close", 1, "close"),
        ("sma", 20, "SMA(20)"),
        ("ema", 23, "EMA(12)"),
        ("rsi", 29, "RSI(14)"),
        ("atr", 29, "ATR(14)"),
        ("adx", 55, "ADX(14)"),
        ("macd", 67, "MACD(12,26,9)"),
        ("macd_hist", 67, "MACD histogram(12,26,9)"),
        ("bollinger_lower", 20, "Bollinger lower(20,2)"),
        ("ema_channel_upper", 65, "EMA channel upper(33)"),
        ("volume_mean", 20, "volume mean(20)"),
        ("cci", 14, "CCI(14)"),
        ("tema", 175, "TEMA(30)"),
    ],
)
def test_warm_up_and_labels(name: str, needed: int, label: str) -> None:
    spec = indicator(name)
    assert (spec.needed, spec.label) == (needed, label)


def test_the_newest_value_does_not_depend_on_where_wanted_candles_begin() -> None:
    candles = walk(1500)
    for name in set(SPEC_NAMES):
        spec = indicator(name)
        assert value_at(candles[-spec.wanted :], spec) == pytest.approx(value_at(candles, spec), rel=1e-6)


def test_offset_counts_candles_back() -> None:
    candles = walk(80)
    spec = indicator("sma", {"length": 5})
    assert value_at(candles, spec, 4) == value_at(candles[:-4], spec)
    assert value_at(candles, indicator("close"), 79) == candles.close[0]
    with pytest.raises(InputRefused, match="offset of 0 or more"):
        value_at(candles, spec, -1)


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("rsi", {"len": 14}, "rsi has no parameter 'len'; it takes: length"),
        ("close", {"length": 1}, "close has no parameter 'length'; it takes: none"),
        ("rsi", {"length": "14"}, "rsi.length: expected a whole number, got '14'"),
        ("rsi", {"length": 14.5}, "rsi.length: expected a whole number, got 14.5"),
        ("rsi", {"length": True}, "rsi.length: expected a whole number, got True"),
        ("bollinger_upper", {"deviations": None}, "bollinger_upper.deviations: expected a number, got None"),
        ("rsi", {"length": -1}, "rsi.length: expected a whole number from 2 to 100000, got -1"),
        ("rsi", {"length": 100_001}, "rsi.length: expected a whole number from 2 to 100000, got 100001"),
        ("sma", {"length": 0}, "sma.length: expected a whole number from 1 to 100000, got 0"),
        ("macd", {"signal": 0}, "macd.signal: expected a whole number from 1 to 100000, got 0"),
        ("macd", {"fast": 26, "slow": 12}, "macd.fast: expected less than slow, which is 12, got 26"),
        (
            "stoch_slowk",
            {"slowk_period": 0},
            "stoch_slowk.slowk_period: expected a whole number from 1 to 100000, got 0",
        ),
        (
            "sar",
            {"acceleration": -1.0},
            "sar.acceleration: expected a number within the range of TA-Lib's SAR, got -1.0",
        ),
    ],
)
def test_wrong_parameters_are_refused(name: str, parameters: dict[str, object], message: str) -> None:
    with pytest.raises(InputRefused) as caught:
        indicator(name, parameters)
    assert str(caught.value) == message


def test_unknown_names_come_with_the_nearest_ones() -> None:
    with pytest.raises(UnknownIndicator, match=r"'rsj'.*rsi"):
        indicator("rsj")
    with pytest.raises(UnknownIndicator, match="stoch_slowk, stoch_slowd"):
        indicator("stoch")
    with pytest.raises(UnknownIndicator, match="'RSI'; expected it in lower case: rsi"):
        indicator("RSI")
    with pytest.raises(UnknownIndicator, match="stoch_slowk, stoch_slowd"):
        indicator("STOCH")
    with pytest.raises(UnknownIndicator, match="bollinger_upper"):
        indicator("bolinger_uper")


def test_defaults_are_listed() -> None:
    assert default_parameters("macd") == {"fast": 12, "slow": 26, "signal": 9}
    assert default_parameters("bollinger_upper") == {"length": 20, "deviations": 2.0}
    assert default_parameters("wma") == {"length": 30}
    assert default_parameters("close") == {}


def test_an_rsi_without_movement_is_undefined() -> None:
    ones = np.ones(40)
    flat = Candles(60_000 * np.arange(40), ones, ones, ones, ones, ones, "1m")
    with pytest.raises(UndefinedIndicator, match=r"RSI\(14\) has no value"):
        value_at(flat, indicator("rsi"))
    falling = Candles(60_000 * np.arange(40), ones, ones, ones, 50 - np.arange(40), ones, "1m")
    assert value_at(falling, indicator("rsi")) == 0


def test_a_tiny_price_has_the_same_rsi() -> None:
    candles = walk(60)
    tiny = Candles(
        candles.open_time,
        *(column * 1e-13 for column in (candles.open, candles.high, candles.low, candles.close)),
        volume=candles.volume,
        timeframe="1h",
    )
    for name in ("rsi", "adx"):
        assert value_at(tiny, indicator(name)) == pytest.approx(value_at(candles, indicator(name)))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(130, 400), st.integers(2, 30))
def test_values_are_those_of_talib(seed: int, count: int, length: int) -> None:
    candles = walk(count, seed)
    high, low, close, volume = candles.high, candles.low, candles.close, candles.volume
    macd, macd_signal, macd_hist = talib.MACD(close, length, length + 7, 9)
    upper, middle, lower = talib.BBANDS(close, length)
    macd_lengths = {"fast": length, "slow": length + 7}
    expected = {
        ("sma", "length"): talib.SMA(close, length),
        ("ema", "length"): talib.EMA(close, length),
        ("rsi", "length"): talib.RSI(close, length),
        ("adx", "length"): talib.ADX(high, low, close, length),
        ("atr", "length"): talib.ATR(high, low, close, length),
        ("bollinger_upper", "length"): upper,
        ("bollinger_middle", "length"): middle,
        ("bollinger_lower", "length"): lower,
        ("ema_channel_upper", "length"): talib.EMA(high, length),
        ("ema_channel_lower", "length"): talib.EMA(low, length),
        ("volume_mean", "length"): talib.SMA(volume, length),
        ("macd", "fast"): macd,
        ("macd_signal", "fast"): macd_signal,
        ("macd_hist", "fast"): macd_hist,
    }
    for (name, parameter), values in expected.items():
        spec = indicator(name, macd_lengths if parameter == "fast" else {"length": length})
        first = spec.needed - 1
        np.testing.assert_allclose(series(candles, spec)[first:], values[first:], rtol=1e-9, atol=1e-9)
