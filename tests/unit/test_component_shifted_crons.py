"""Shifted crons against a slow reference that walks every day of two years."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from missiondesk.components import shifted_crons
from missiondesk.components.shifted_crons import Schedule, check_year, shifted_schedule
from models.errors import InputRefused
from models.timer import firing_times

START = datetime(2027, 1, 1, tzinfo=UTC)
END = datetime(2029, 1, 1, tzinfo=UTC)  # 2028 has a 29th of February


def numbers(field: str, first: int, last: int) -> set[int]:
    """The reference's own reading of a cron field."""
    found: set[int] = set()
    for part in field.split(","):
        body, _, step = part.partition("/")
        low, _, high = ("*" if body == "*" else body).partition("-")
        bounds = (first, last) if body == "*" else (int(low), int(high or low))
        found |= set(range(bounds[0], bounds[1] + 1, int(step or 1)))
    return found


def slow_firings(line: str, start: datetime, end: datetime) -> Iterator[datetime]:
    """Every firing of a line in UTC, by looking at every day."""
    minute, hour, day, month, weekday, *rest = line.split()
    second = rest[0] if rest else "0"
    days, months, weekdays = numbers(day, 1, 31), numbers(month, 1, 12), numbers(weekday, 0, 7)
    weekdays = {each % 7 for each in weekdays}
    times = [
        timedelta(hours=h, minutes=m, seconds=s)
        for h in sorted(numbers(hour, 0, 23))
        for m in sorted(numbers(minute, 0, 59))
        for s in sorted(numbers(second, 0, 59))
    ]
    midnight = start.replace(hour=0, minute=0, second=0)
    while midnight < end:
        by_day, by_weekday = midnight.day in days, midnight.isoweekday() % 7 in weekdays
        fits = (by_day or by_weekday) if day != "*" and weekday != "*" else (by_day and by_weekday)
        if midnight.month in months and fits:
            yield from (midnight + time for time in times if start <= midnight + time < end)
        midnight += timedelta(days=1)


def reference(lines: Iterable[str], shift: timedelta, start: datetime, end: datetime) -> list[datetime]:
    moved = {instant + shift for line in lines for instant in slow_firings(line, start - shift, end - shift)}
    return sorted(moved)


def fired(schedule: Schedule, start: datetime, end: datetime) -> list[datetime]:
    """What Prefect would run: every line for itself, so an instant of two lines would come twice."""
    assert schedule.timezone == "UTC"
    return sorted(instant for line in schedule.lines for instant in slow_firings(line, start, end))


def months(start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    while start < end:
        after = (start + timedelta(days=32)).replace(day=1)
        yield start, after
        start = after


def check(lines: list[str], shift: timedelta, wanted: list[datetime], timezone: str = "UTC") -> None:
    """Over two years, with the schedule made anew once a month as a desk does it daily."""
    schedule = shifted_schedule(lines, timezone, shift, START)
    got: list[datetime] = []
    if schedule.dated:
        for begin, end in months(START, END):
            got += fired(shifted_schedule(lines, timezone, shift, begin + timedelta(days=9)), begin, end)
    else:
        got = fired(schedule, START, END)
    assert got == wanted


def some(first: int, last: int) -> st.SearchStrategy[str]:
    return st.lists(st.integers(first, last), min_size=1, max_size=3, unique=True).map(
        lambda given: ",".join(map(str, sorted(given)))
    )


minutes = st.one_of(some(0, 59), st.sampled_from(["*/15", "0-3", "59", "0"]))
hours = st.one_of(some(0, 23), st.sampled_from(["*", "*/6", "9-11", "0", "23"]))
weekdays = st.one_of(st.just("*"), some(0, 6), st.sampled_from(["1-5", "1", "0"]))
days = st.one_of(st.just("*"), some(1, 31), st.sampled_from(["1", "31", "29", "28-31"]))
in_months = st.one_of(st.just("*"), some(1, 12), st.sampled_from(["2", "3", "1,12"]))
seconds = st.one_of(st.just(""), st.sampled_from([" 30", " 0,59"]))


@st.composite
def crons(draw: st.DrawFn, dated: bool) -> str:
    day, month = (draw(days), draw(in_months)) if dated else ("*", "*")
    return f"{draw(minutes)} {draw(hours)} {day} {month} {draw(weekdays)}{draw(seconds)}"


shifts = st.one_of(
    st.integers(-90, 90).map(lambda number: timedelta(seconds=number)),
    st.integers(-3000, 3000).map(lambda number: timedelta(minutes=number)),
    st.integers(-72, 72).map(lambda number: timedelta(hours=number)),
    st.integers(-40, 40).map(lambda number: timedelta(days=number)),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(crons(dated=False), min_size=1, max_size=3), shifts)
@example(["0 0 * * 1"], timedelta(seconds=-30))
@example(["*/7 9 * * 1-5", "0 9 * * *"], timedelta(minutes=55))
def test_crons_of_weekday_and_time(lines: list[str], shift: timedelta):
    check(lines, shift, reference(lines, shift, START, END))


@settings(max_examples=25, deadline=None)
@given(st.lists(crons(dated=True), min_size=1, max_size=2), shifts)
@example(["0 0 1 3 *"], timedelta(days=-1))
@example(["0 0 31 * *"], timedelta(days=1))
@example(["0 0 29 2 *"], timedelta(seconds=-1))
@example(["0 12 13 * 5"], timedelta(hours=-13))
def test_crons_with_dates(lines: list[str], shift: timedelta):
    try:
        check(lines, shift, reference(lines, shift, START, END))
    except InputRefused as error:
        assert "cron line" in str(error)


@pytest.mark.parametrize("timezone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
@pytest.mark.parametrize("shift", [timedelta(seconds=-30), timedelta(hours=2), timedelta(days=-1)])
def test_zones_with_daylight_saving_time(timezone: str, shift: timedelta):
    lines = ["0 3 * * *", "30 9 * * 1-5", "*/20 2 * * 0", "15 4 1,31 * 1"]
    wanted = set()
    for line in lines:
        for instant in firing_times(line, START - shift - timedelta(seconds=1), timezone):
            if instant + shift >= END:
                break
            if instant + shift >= START:
                wanted.add(instant + shift)
    check(lines, shift, sorted(wanted), timezone)


def test_a_zone_of_one_offset_keeps_its_name():
    schedule = shifted_schedule(["0 9 * * 1-5"], "Asia/Shanghai", timedelta(minutes=-10), START)
    assert schedule == Schedule(("50 8 * * 1-5",), "Asia/Shanghai")


@pytest.mark.parametrize(
    ("lines", "shift", "made"),
    [
        (["0 0 * * 1"], timedelta(seconds=-30), ("59 23 * * 0 30",)),
        (["0 9 * * 1-5"], timedelta(0), ("0 9 * * 1-5",)),
        (["*/5 * * * *"], timedelta(minutes=5), ("*/5 * * * *",)),
        (["0 * * * *", "*/30 * * * *"], timedelta(0), ("*/30 * * * *",)),
        (["@daily"], timedelta(days=-1), ("0 0 * * *",)),
    ],
)
def test_lines_as_a_person_would_write_them(lines, shift, made):
    assert shifted_schedule(lines, "UTC", shift, START).lines == made


def test_what_is_refused(monkeypatch):
    monkeypatch.setattr(shifted_crons, "MOST_INSTANTS", 5000)
    with pytest.raises(InputRefused, match="366 days"):
        shifted_schedule(["0 0 * * *"], "UTC", timedelta(days=400), START)
    with pytest.raises(InputRefused, match="fires at some time"):
        shifted_schedule(["0 0 30 2 *"], "UTC", timedelta(seconds=1), START)
    with pytest.raises(InputRefused, match="less often"):
        shifted_schedule(["* * * * * *"], "Europe/Berlin", timedelta(seconds=1), START)


@pytest.mark.parametrize("line", ["* * 1 * 0,1,5,6", "* * 1 * *", "*/2 * * 1-6 *"])
def test_a_line_that_fires_each_minute_is_not_walked_minute_by_minute(
    monkeypatch: pytest.MonkeyPatch, line: str
):
    """What croniter needs 50 µs for, a hundred thousand times."""

    def walked(*_: object) -> Iterator[datetime]:
        raise AssertionError("the instants were asked for one by one")

    monkeypatch.setattr(shifted_crons, "firing_times", walked)
    shift = timedelta(hours=1)
    march = datetime(2027, 3, 1, tzinfo=UTC)
    got = fired(shifted_schedule([line], "UTC", shift, START), START, march)
    assert got == reference([line], shift, START, march)


def test_a_year_is_looked_at_for_months_that_take_too_many_lines():
    """Each of 70 days of August has a minute of its own."""
    lines = ["0 0 1 * *", *(f"{day % 60} {day % 23} {day % 28 + 1} 8 *" for day in range(70))]
    shifted_schedule(lines, "UTC", timedelta(seconds=1), START)
    check_year(lines[:50], "UTC", timedelta(seconds=1), START)
    with pytest.raises(InputRefused, match="60 cron lines"):
        check_year(lines, "UTC", timedelta(seconds=1), START)
