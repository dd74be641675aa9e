"""Period words, cron lines and their firing times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import InputRefused
from models.timer import (
    Period,
    cron_lines,
    fires_as_in_utc,
    fires_at,
    firing_times,
    next_firing,
    parse_period,
)

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


ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Santiago",
    "Africa/Casablanca",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Antarctica/Troll",
]


@pytest.mark.parametrize(
    ("timezone", "longest"),
    [
        ("UTC", "1week"),
        ("Europe/Berlin", "60min"),
        ("Asia/Kolkata", "30min"),
        ("Australia/Lord_Howe", "30min"),
        ("Asia/Kathmandu", "15min"),
    ],
)
def test_periods_that_fire_as_in_utc(timezone: str, longest: str) -> None:
    assert [str(period) for period in Period if fires_as_in_utc(period, timezone)][-1] == longest


def test_every_zone_has_whole_quarters_of_an_hour() -> None:
    assert all(fires_as_in_utc(Period.FIFTEEN_MINUTES, zone) for zone in available_timezones())


@given(period=st.sampled_from(Period), zone=st.sampled_from(ZONES), instant=instants)
def test_what_fires_as_in_utc_does(period: Period, zone: str, instant: datetime) -> None:
    if fires_as_in_utc(period, zone):
        assert fires_at((period.cron,), instant, zone) == fires_at((period.cron,), instant, "UTC")


@pytest.mark.parametrize(
    ("line", "timezone", "instant", "fires"),
    [
        ("30 2 * * *", "Europe/Berlin", "2026-03-29T00:30Z", True),  # 01:30, for 02:30 never comes
        ("30 2 * * *", "Europe/Berlin", "2026-03-29T01:30Z", False),
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T00:30Z", False),
        ("30 1 * * *", "Europe/Berlin", "2026-03-29T00:30Z", True),
        ("30 3 * * *", "Europe/Berlin", "2026-03-29T00:30Z", False),
        ("0 0 * * *", "America/Santiago", "2026-09-06T03:00Z", True),  # 23:00, for there is no midnight
        ("0 0 * * *", "America/Santiago", "2026-09-07T03:00Z", True),
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T15:15Z", True),
    ],
)
def test_a_time_that_the_clock_skips_fires_earlier(
    line: str, timezone: str, instant: str, fires: bool
) -> None:
    assert fires_at((line,), datetime.fromisoformat(instant), timezone) is fires
