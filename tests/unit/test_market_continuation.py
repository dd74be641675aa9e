"""Stored indicators and channels: any way of cutting the candles into runs gives the same bits."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from missiondesk.market import panel
from missiondesk.market.candles import Candles, FloatArray
from missiondesk.market.ema_channel import LOWER, UPPER, continue_channel
from missiondesk.market.indicators import series
from missiondesk.market.panel import Continuation, SeriesState
from missiondesk.market.recursion import exponential, smooth, wilder
from missiondesk.market.stored_indicators import STORED, continue_indicators
from missiondesk.market.windows import window_deviations, window_means, window_sums

Continue = Callable[[Sequence[SeriesState], Sequence[Candles]], list[Continuation]]


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


def stored(state: SeriesState) -> SeriesState:
    """A state that has been to the database and back."""
    return SeriesState.from_json(json.loads(json.dumps(state.to_json())))


def same_bits(one: FloatArray, other: FloatArray) -> bool:
    return np.asarray(one).tobytes() == np.asarray(other).tobytes()


CUTS = st.lists(st.integers(0, 200), max_size=8).map(lambda cuts: [0, *sorted(cuts), 200])


@pytest.mark.parametrize("continue_", [continue_indicators, continue_channel])
@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32), cuts=CUTS)
def test_runs_with_restarts_between_them_equal_one_pass(
    continue_: Continue, seed: int, cuts: list[int]
) -> None:
    candles = walk(200, seed)
    [whole] = continue_([SeriesState()], [candles])
    state, parts = SeriesState(), []
    for start, stop in pairwise(cuts):
        [part] = continue_([stored(state)], [candles[start:stop]])
        state = part.state
        parts.append(part.values)
    assert state == whole.state
    for name, values in whole.values.items():
        assert same_bits(np.concatenate([part[name] for part in parts]), values), name


@pytest.mark.parametrize("continue_", [continue_indicators, continue_channel])
@settings(deadline=None, max_examples=40)
@given(
    runs=st.lists(st.lists(st.integers(0, 90), min_size=3, max_size=3), min_size=1, max_size=4),
    seed=st.integers(0, 2**32),
)
def test_markets_do_not_touch_each_other(continue_: Continue, runs: list[list[int]], seed: int) -> None:
    """Each market brings its own number of candles to each run; alone it would get the same bits."""
    histories = [walk(sum(counts), seed + place) for place, counts in enumerate(zip(*runs, strict=True))]
    states, taken = [SeriesState()] * 3, [0, 0, 0]
    gathered: list[list[dict[str, FloatArray]]] = [[], [], []]
    for counts in runs:
        new = [
            history[start : start + count]
            for history, start, count in zip(histories, taken, counts, strict=True)
        ]
        together = continue_(states, new)
        states = [stored(found.state) for found in together]
        taken = [start + count for start, count in zip(taken, counts, strict=True)]
        for parts, found in zip(gathered, together, strict=True):
            parts.append(dict(found.values))
    for history, parts, state in zip(histories, gathered, states, strict=True):
        [alone] = continue_([SeriesState()], [history])
        assert state == alone.state
        for name, values in alone.values.items():
            assert same_bits(np.concatenate([part[name] for part in parts]), values), name


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32), count=st.integers(0, 300))
def test_stored_values_are_those_that_operands_have(seed: int, count: int) -> None:
    candles = walk(count, seed)
    [indicators] = continue_indicators([SeriesState()], [candles])
    [channel] = continue_channel([SeriesState()], [candles])
    specs = {**STORED, "upper": UPPER, "lower": LOWER}
    for name, values in {**indicators.values, **channel.values}.items():
        if name in specs:
            np.testing.assert_allclose(
                values, series(candles, specs[name]), rtol=1e-9, atol=1e-9, err_msg=name
            )


def test_working_in_blocks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    histories = [walk(150, seed) for seed in range(3)]
    at_once = continue_indicators([SeriesState()] * 3, histories)
    monkeypatch.setattr(panel, "_IN_CACHE", 21)  # blocks of 7 candles
    in_blocks = continue_indicators([SeriesState()] * 3, histories)
    for one, other in zip(at_once, in_blocks, strict=True):
        assert one.state == other.state
        assert all(same_bits(one.values[name], other.values[name]) for name in one.values)


def test_a_market_that_never_moves() -> None:
    ones = np.ones(80)
    still = Candles(60_000 * np.arange(80), ones, ones, ones, ones, np.zeros(80), "1m")
    [found] = continue_indicators([SeriesState()], [still])
    assert np.isnan(found.values["rsi_14"]).all()
    assert found.values["adx_14"][-1] == 0
    assert found.values["bollinger_upper"][-1] == found.values["bollinger_lower"][-1] == 1
    [channel] = continue_channel([SeriesState()], [still])
    assert (channel.values["in_channel_percent"][-1], channel.values["width_percent"][-1]) == (100, 0)
    assert np.isnan(channel.values["volume_ratio"]).all()


def test_candles_that_were_seen_already_are_refused() -> None:
    candles = walk(40, 1)
    [found] = continue_indicators([SeriesState()], [candles[:30]])
    with pytest.raises(ValueError, match="expected candles after the one of 1970-01-02 05:00:00"):
        continue_indicators([found.state], [candles[29:]])


def test_no_markets_and_no_candles() -> None:
    assert continue_indicators([], []) == []
    [found] = continue_indicators([SeriesState()], [walk(0, 1)])
    assert found.state == SeriesState()
    assert found.values["rsi_14"].shape == (0,)


def test_a_state_does_not_grow_with_its_history() -> None:
    [short] = continue_indicators([SeriesState()], [walk(100, 1)])
    [long] = continue_indicators([SeriesState()], [walk(5_000, 1)])
    assert {name: len(values) for name, values in short.state.recent.items()} == {
        name: len(values) for name, values in long.state.recent.items()
    }
    assert len(json.dumps(long.state.to_json())) < 2_000


def test_smoothing_by_hand() -> None:
    inputs = np.array([9.0, 1.0, 3.0, 8.0, np.nan, 2.0]).reshape(6, 1, 1)
    values = smooth([exponential(3)], np.zeros((1, 1)), np.zeros(1, dtype=np.int64), inputs)
    mean = (9 + 1 + 3) / 3
    assert values[2:].ravel().tolist() == pytest.approx(
        [mean, (mean + 8) / 2, (mean + 8) / 2, ((mean + 8) / 2 + 2) / 2]
    )
    late = smooth([wilder(2, start=1)], np.zeros((1, 1)), np.zeros(1, dtype=np.int64), inputs)
    assert late[2:].ravel().tolist() == [2, 5, 5, 3.5]


@given(
    st.lists(st.floats(-1e6, 1e6), max_size=60),
    st.integers(1, 25),
    st.integers(0, 60),
)
def test_a_window_depends_on_its_own_values_alone(numbers: list[float], length: int, start: int) -> None:
    values = np.array(numbers)
    for windows in (window_sums, window_means, window_deviations):
        whole = windows(values, length)
        assert len(whole) == max(len(values) - length + 1, 0)
        assert same_bits(windows(values[start:], length), whole[start:])
    if len(values) >= length:
        np.testing.assert_allclose(window_sums(values, length)[-1], values[-length:].sum(), atol=1e-6)
        np.testing.assert_allclose(window_deviations(values, length)[-1], values[-length:].std(), atol=1e-6)
