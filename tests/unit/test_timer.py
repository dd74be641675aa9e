"""Period words, cron lines and their firing times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import InputRefused
from models.timer import Period, cron_lines, fires_at, firing_times, next_firing, parse_period

YEARS_2020_TO_2030 = st.integers(1_577_836_800, 1_893_456_000)
instants = YEARS_2020_TO_2030.map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("1min", "1min"),
        ("1m", "1min"),
        ("5m", "5min"),
        ("15m", "15min"),
        ("30m", "30min"),
        ("1h", "60min"),
        ("60min", "60min"),
        ("4hour", "4h"),
        ("1d", "1day"),
        ("1w", "1week"),
        (" 1H ", "60min"),
    ],
)
def test_words_and_aliases(word: str, expected: str) -> None:
    assert str(parse_period(word)) == expected


@pytest.mark.parametrize("word", ["", "2h", "hourly", "60", None, 60])
def test_other_words_are_refused_with_the_list(word: Any) -> None:
    with pytest.raises(InputRefused, match="1min, 5min, 15min, 30min, 60min, 4h, 1day, 1week"):
        parse_period(word)


def test_longer_periods_compare_greater() -> None:
    assert sorted([Period.ONE_WEEK, *Period]) == [*Period, Period.ONE_WEEK]
    assert max(Period.ONE_HOUR, Period.FIVE_MINUTES) is Period.ONE_HOUR


@given(period=st.sampled_from(Period), instant=instants)
def test_the_next_time_is_in_the_future_and_at_most_a_period_away(period: Period, instant: datetime) -> None:
    following = next_firing((period.cron,), instant, "UTC")
    assert timedelta(0) < following - instant <= period.duration
    assert fires_at((period.cron,), following, "UTC")


@given(instant=instants)
def test_whoever_fires_for_a_long_period_fires_for_every_shorter_one(instant: datetime) -> None:
    fires = [fires_at((period.cron,), instant, "UTC") for period in Period]
    assert fires == sorted(fires, reverse=True)


@pytest.mark.parametrize(
    ("crontab", "lines"),
    [
        (None, ()),
        ("0 9 * * 1-5", ("0 9 * * 1-5",)),
        ({"minute": 0, "hour": "*"}, ("0 * * * *",)),
        ({"day_of_week": "1-5", "hour": 9, "minute": 30}, ("30 9 * * 1-5",)),
        ([{"minute": 0}, "5 * * * *", "5  *  * * *"], ("0 * * * *", "5 * * * *")),
    ],
)
def test_crontabs(crontab: Any, lines: tuple[str, ...]) -> None:
    assert cron_lines(crontab) == lines


@pytest.mark.parametrize("crontab", ["* * *", "61 * * * *", {"minut": 0}, 5, [], ["0 0 31 2 *"], "a b c d e"])
def test_what_is_no_crontab_is_refused_and_named(crontab: Any) -> None:
    with pytest.raises(InputRefused, match="expected"):
        cron_lines(crontab)


def test_weekdays_are_those_of_cron() -> None:
    fired = firing_times("0 12 * * 1-5", datetime(2026, 11, 20, 13, tzinfo=UTC), "UTC")
    assert [next(fired).strftime("%a") for _ in range(5)] == ["Mon", "Tue", "Wed", "Thu", "Fri"]
