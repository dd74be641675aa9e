"""Candles of one market: what is valid, what is closed, what is missing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from missiondesk.market.candles import (
    MONDAY,
    THURSDAY,
    TIMEFRAMES,
    Candles,
    InvalidCandles,
    expected_last_open,
    opening_time,
    timeframe_milliseconds,
    to_datetime,
    to_milliseconds,
)
from models.errors import UnknownName

HOUR = 3_600_000
NOON = datetime(2024, 3, 6, 12, tzinfo=UTC)  # a Wednesday


def hours(*places: int, start: datetime = NOON) -> Candles:
    """Hourly candles at the given hours after `start`, each with its place as price."""
    rows = [[to_milliseconds(start) + place * HOUR, *[float(place) + 1] * 5] for place in places]
    return Candles.from_rows(rows, "1h", "BTC/USD")


def test_a_candle_counts_from_the_instant_it_closes() -> None:
    candles = hours(0, 1, 2)
    closing = NOON + timedelta(hours=2)
    assert len(candles.closed_at(closing)) == 2
    assert len(candles.closed_at(closing - timedelta(milliseconds=1))) == 1
    assert len(candles.closed_at(NOON)) == 0
    assert len(candles.closed_at(NOON + timedelta(days=9))) == 3


def test_now_must_be_aware() -> None:
    with pytest.raises(ValueError, match="aware"):
        hours(0).closed_at(datetime(2024, 3, 6))  # noqa: DTZ001


def test_missing_bars_are_listed_and_not_invented() -> None:
    candles = hours(0, 1, 4, 6)
    assert [to_datetime(time).hour for time in candles.missing_open_times()] == [14, 15, 17]
    assert hours().missing_open_times().size == 0
    assert hours(3).missing_open_times().size == 0


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([[0, 1, 1, 1, 1, 1], [0, 1, 1, 1, 1, 1]], "ascending"),
        ([[HOUR, 1, 1, 1, 1, 1], [0, 1, 1, 1, 1, 1]], "ascending"),
        ([[0, 1, 1, 1, float("nan"), 1]], "close at 1970-01-01 00:00:00"),
        ([[0, 1, 1, 1, 1, None]], "volume"),
        ([[0, 1, 1, float("inf"), 1, 1]], "low"),
        ([[0, 1, 1, 1, 1, 1], [HOUR + 1, 1, 1, 1, 1, 1]], "off the 1h grid"),
    ],
)
def test_malformed_candles_are_refused(rows: list[list[float]], problem: str) -> None:
    with pytest.raises(InvalidCandles, match=problem):
        Candles.from_rows(rows, "1h")


def test_arrays_of_different_lengths_are_refused() -> None:
    ones = np.ones(2)
    with pytest.raises(InvalidCandles, match="volume has shape"):
        Candles(HOUR * np.arange(2), ones, ones, ones, ones, np.ones(3), "1h")


def test_parts_and_joins_keep_the_market() -> None:
    candles = hours(0, 1, 2, 3)
    joined = candles[:2].followed_by(candles[2:])
    assert joined.symbol == "BTC/USD"
    assert joined.close.tolist() == candles.close.tolist()
    with pytest.raises(InvalidCandles, match="ascending"):
        candles.followed_by(candles)


def test_unknown_timeframes_are_refused_with_the_list() -> None:
    with pytest.raises(UnknownName, match=r"12h.*1w"):
        timeframe_milliseconds("7h")


def test_weeks_open_where_the_venue_says() -> None:
    assert to_datetime(expected_last_open(NOON, "1w")).strftime("%a %d") == "Mon 26"
    assert to_datetime(expected_last_open(NOON, "1w", MONDAY)).strftime("%a %d") == "Mon 26"
    assert to_datetime(expected_last_open(NOON, "1w", THURSDAY)).strftime("%a %d") == "Thu 22"
    served = to_milliseconds(datetime(2024, 2, 29, tzinfo=UTC))
    assert to_datetime(opening_time(to_milliseconds(NOON), "1w", served)).strftime("%a %d") == "Thu 29"


@given(
    st.datetimes(datetime(2009, 1, 3), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.sampled_from(sorted(TIMEFRAMES)),
)
def test_the_expected_last_candle_is_the_newest_closed_one(now: datetime, timeframe: str) -> None:
    length = timedelta(milliseconds=TIMEFRAMES[timeframe])
    opened = to_datetime(expected_last_open(now, timeframe))
    assert opened + length <= now < opened + 2 * length


def test_recorded_candles_are_valid_and_their_gaps_are_known(shared_data: Path) -> None:
    table = np.loadtxt(shared_data / "ohlcv/kraken/BTC-USD_1h.csv.gz", delimiter=",", skiprows=1)
    candles = Candles.from_rows(table.tolist(), "1h", "BTC/USD")
    assert len(candles) == 61_339
    assert len(candles.missing_open_times()) == 10_856
