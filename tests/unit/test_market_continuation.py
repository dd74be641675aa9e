"""Indicators, channels, situations: any way of cutting the candles into runs gives the same bits."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from missiondesk.market import panel
from missiondesk.market.candles import Candles, FloatArray
from missiondesk.market.ema_channel import CHANNEL, LOWER, UPPER
from missiondesk.market.indicators import series
from missiondesk.market.panel import Calculation, NewCandles
from missiondesk.market.recursion import exponential, smooth, wilder
from missiondesk.market.signal_settings import SignalSettings
from missiondesk.market.situation_series import Spans
from missiondesk.market.stored_indicators import INDICATORS, STORED
from missiondesk.market.windows import window_deviations, window_means, window_sums

SPANS = Spans(SignalSettings(high_bars=40))

Values = dict[str, FloatArray]


def walk(count: int, seed: int, start: int = 0) -> Candles:
    """A random walk in which some candles stand still and some have no volume."""
    random = np.random.default_rng(seed)
    moves = np.where(random.random(count) < 0.15, 0, random.normal(0, 0.02, count))
    closes = np.round(2_000 * np.exp(moves.cumsum()), 2)
    opens = np.concatenate([[2_000.0], closes])[:count]
    return Candles(
        3_600_000 * (start + np.arange(count)),
        opens,
        np.maximum(opens, closes) + np.round(random.random(count), 2),
        np.minimum(opens, closes) - np.round(random.random(count), 2),
        closes,
        np.where(random.random(count) < 0.1, 0, np.round(random.random(count) * 9, 3)),
        "1h",
        "BTC/USD",
    )


def continued(
    calculation: Calculation | Spans,
    states: Sequence[FloatArray],
    candles: Sequence[Candles],
    seen: Sequence[Candles],
) -> list[tuple[Values, FloatArray]]:
    """Each market's values and its next state; `seen` are the candles before the new ones."""
    new = NewCandles.of(candles)
    if isinstance(calculation, Spans):
        values, after = situations(calculation, np.array(states), new, seen)
    else:
        values, after = calculation.continued(np.array(states), new)
    ends = np.cumsum(new.lengths)
    return [
        ({name: found[end - length : end] for name, found in values.items()}, state)
        for end, length, state in zip(ends, new.lengths, after, strict=True)
    ]


def situations(
    spans: Spans, states: FloatArray, new: NewCandles, seen: Sequence[Candles]
) -> tuple[Values, FloatArray]:
    outlived = spans.outlived(states, new.lengths)
    before = [
        candles[-(spans.rules.high_bars - 1) :] if old else candles[:0]
        for candles, old in zip(seen, outlived, strict=True)
    ]
    found, after = spans.continued(states, new, NewCandles.of(before))
    at = found.places
    values = {
        "close": found.closes[at],
        "short": found.gains(at, spans.rules.short_gain_bars),
        "long": found.gains(at, spans.rules.long_gain_bars),
        "from_high": found.from_high(at),
        "price": found.price_changes(at),
        "volume": found.volume_changes(at),
        "count": spans.counts(states, new).astype(np.float64),
    }
    return values, after


def same_bits(one: FloatArray, other: FloatArray) -> bool:
    return np.asarray(one).tobytes() == np.asarray(other).tobytes()


CUTS = st.lists(st.integers(0, 200), max_size=8).map(lambda cuts: [0, *sorted(cuts), 200])


@pytest.mark.parametrize("calculation", [INDICATORS, CHANNEL, SPANS])
@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32), cuts=CUTS)
def test_runs_with_restarts_between_them_equal_one_pass(
    calculation: Calculation | Spans, seed: int, cuts: list[int]
) -> None:
    candles = walk(200, seed)
    [(whole, last)] = continued(calculation, [calculation.beginning], [candles], [candles[:0]])
    state, parts = calculation.beginning, []
    for start, stop in pairwise(cuts):
        [(values, state)] = continued(calculation, [state], [candles[start:stop]], [candles[:start]])
        parts.append(values)
    assert same_bits(state, last)
    for name, values in whole.items():
        assert same_bits(np.concatenate([part[name] for part in parts]), values), name


@pytest.mark.parametrize("calculation", [INDICATORS, CHANNEL, SPANS])
@settings(deadline=None, max_examples=40)
@given(
    runs=st.lists(st.lists(st.integers(0, 90), min_size=3, max_size=3), min_size=1, max_size=4),
    seed=st.integers(0, 2**32),
)
def test_markets_do_not_touch_each_other(
    calculation: Calculation | Spans, runs: list[list[int]], seed: int
) -> None:
    """Each market brings its own number of candles to each run; alone it would get the same bits."""
    histories = [walk(sum(counts), seed + place) for place, counts in enumerate(zip(*runs, strict=True))]
    states, taken = [calculation.beginning] * 3, [0, 0, 0]
    gathered: list[list[Values]] = [[], [], []]
    for counts in runs:
        cut = list(zip(histories, taken, counts, strict=True))
        new = [history[start : start + count] for history, start, count in cut]
        together = continued(calculation, states, new, [history[:start] for history, start, _ in cut])
        states = [state for _, state in together]
        taken = [start + count for start, count in zip(taken, counts, strict=True)]
        for parts, (values, _) in zip(gathered, together, strict=True):
            parts.append(values)
    for history, parts, state in zip(histories, gathered, states, strict=True):
        [(alone, last)] = continued(calculation, [calculation.beginning], [history], [history[:0]])
        assert same_bits(state, last)
        for name, values in alone.items():
            assert same_bits(np.concatenate([part[name] for part in parts]), values), name


def values_of(calculation: Calculation, candles: Candles) -> Values:
    [(values, _)] = continued(calculation, [calculation.beginning], [candles], [])
    return values


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32), count=st.integers(0, 300))
def test_stored_values_are_those_that_operands_have(seed: int, count: int) -> None:
    candles = walk(count, seed)
    specs = {**STORED, "upper": UPPER, "lower": LOWER}
    for name, values in {**values_of(INDICATORS, candles), **values_of(CHANNEL, candles)}.items():
        if name in specs:
            np.testing.assert_allclose(
                values, series(candles, specs[name]), rtol=1e-9, atol=1e-9, err_msg=name
            )


def test_working_in_blocks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    new = NewCandles.of([walk(150, seed) for seed in range(3)])
    states = np.tile(INDICATORS.beginning, (3, 1))
    at_once, after = INDICATORS.continued(states, new)
    monkeypatch.setattr(panel, "IN_CACHE", 21)  # blocks of 7 candles
    in_blocks, after_blocks = INDICATORS.continued(states, new)
    assert same_bits(after, after_blocks)
    assert all(same_bits(at_once[name], in_blocks[name]) for name in at_once)


def test_a_market_that_never_moves() -> None:
    ones = np.ones(80)
    still = Candles(60_000 * np.arange(80), ones, ones, ones, ones, np.zeros(80), "1m")
    found = values_of(INDICATORS, still)
    assert np.isnan(found["rsi_14"]).all()
    assert found["adx_14"][-1] == 0
    assert found["bollinger_upper"][-1] == found["bollinger_lower"][-1] == 1
    channel = values_of(CHANNEL, still)
    assert (channel["in_channel_percent"][-1], channel["width_percent"][-1]) == (100, 0)
    assert np.isnan(channel["volume_ratio"]).all()


@pytest.mark.parametrize("calculation", [INDICATORS, CHANNEL])
def test_no_markets_and_no_candles(calculation: Calculation) -> None:
    values, states = calculation.continued(np.empty((0, len(calculation.beginning))), NewCandles.of([]))
    assert states.shape == (0, len(calculation.beginning))
    assert all(found.shape == (0,) for found in values.values())
    [(values, state)] = continued(calculation, [calculation.beginning], [walk(0, 1)], [])
    assert same_bits(state, calculation.beginning)
    assert all(found.shape == (0,) for found in values.values())


def test_smoothing_by_hand() -> None:
    inputs = np.array([9.0, 1.0, 3.0, 8.0, np.nan, 2.0]).reshape(6, 1, 1)
    values, late = inputs.copy(), inputs.copy()
    smooth([exponential(3)], np.zeros((1, 1)), np.zeros(1, dtype=np.int64), values)
    mean = (9 + 1 + 3) / 3
    assert values[2:].ravel().tolist() == pytest.approx(
        [mean, (mean + 8) / 2, (mean + 8) / 2, ((mean + 8) / 2 + 2) / 2]
    )
    smooth([wilder(2, start=1)], np.zeros((1, 1)), np.zeros(1, dtype=np.int64), late)
    assert late[2:].ravel().tolist() == [2, 5, 5, 3.5]


@given(
    st.lists(st.floats(-1e6, 1e6), max_size=60),
    st.integers(1, 25),
    st.integers(0, 60),
)
def test_a_window_depends_on_its_own_values_alone(numbers: list[float], length: int, start: int) -> None:
    values = np.array(numbers)
    for windows in (window_sums, window_means, lambda *given: window_deviations(*given)[1]):
        whole = windows(values, length)
        assert len(whole) == max(len(values) - length + 1, 0)
        assert same_bits(windows(values[start:], length), whole[start:])
    if len(values) >= length:
        np.testing.assert_allclose(window_sums(values, length)[-1], values[-length:].sum(), atol=1e-6)
        np.testing.assert_allclose(
            window_deviations(values, length)[1][-1], values[-length:].std(), atol=1e-6
        )
