"""What our rows accept as crontab and time zone, Prefect's client and server accept as a schedule too."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prefect.client.schemas.schedules import CronSchedule
from prefect.server.schemas.schedules import CronSchedule as ServerCronSchedule
from pydantic import TypeAdapter, ValidationError

from deployments.missions import mission_spec
from models.errors import InputRefused
from models.mission import Mission, MissionTask, TaskId, Timezone
from models.timer import cron_lines, fires_at

timezones = TypeAdapter(Timezone)

WORDS = [
    "*",
    "?",
    "0",
    "5",
    "31",
    "L",
    "l5",
    "W",
    "15W",
    "R",
    "r",
    "H",
    "h(0-9)",
    "R(0-30)",
    "mon",
    "wed",
    "mar",
    "-",
    ",",
    "/",
    "#",
    "/5",
    "1-5",
    "1#2",
]
pieces = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map("".join)


@st.composite
def lines(draw: st.DrawFn) -> str:
    """A good line of five or six fields, with one or two fields of any pieces."""
    fields = ["0", "0", "*", "*", "*", "0"][: draw(st.integers(5, 6))]
    for _ in range(draw(st.integers(1, 2))):
        fields[draw(st.integers(0, len(fields) - 1))] = draw(pieces)
    return " ".join(fields)


@settings(max_examples=500)
@given(line=lines())
def test_a_line_that_we_take_is_a_schedule(line: str) -> None:
    try:
        (taken,) = cron_lines(line)
    except InputRefused:
        return
    for schedule in (CronSchedule, ServerCronSchedule):
        assert schedule(cron=taken, timezone="UTC").cron == taken


@pytest.mark.parametrize(
    "line",
    ["R * * * *", "r * * * *", "R(0-30) * * * *", "0 R/5 * * *", "H * * * *", "0 0 15W * *", "0 0 w1 * *"],
)
def test_times_that_name_no_instant_are_refused_and_named(line: str) -> None:
    with pytest.raises(InputRefused, match=r"expected a .*got"):
        cron_lines(line)


@pytest.mark.parametrize(
    "line", ["@hourly", "@midnight", "0 9 * * wed", "0 0 L * *", "0 0 * mar thu-fri", "0 0 * * 1#1"]
)
def test_words_and_ordinary_letters_stay(line: str) -> None:
    assert CronSchedule(cron=cron_lines(line)[0], timezone="UTC")


def test_a_time_zone_that_we_take_is_one_of_prefects() -> None:
    named = [*available_timezones(), "right/UTC", "posix/UTC", "posix/Europe/Berlin", "posixrules", "utc", ""]
    taken = []
    for name in named:
        try:
            taken.append(timezones.validate_python(name))
        except ValidationError:
            continue
        for schedule in (CronSchedule, ServerCronSchedule):
            assert schedule(cron="0 0 * * *", timezone=name).timezone == name
    assert {"UTC", "Europe/Berlin", "Asia/Kolkata", "Etc/GMT+5"} <= set(taken)


@pytest.mark.parametrize(
    "timezone",
    ["Europe/Berlin", "America/New_York", "America/Santiago", "Australia/Lord_Howe", "Antarctica/Troll"],
)
def test_whatever_prefect_fires_is_due(timezone: str) -> None:
    """Also on the days when clocks are put forward and back."""
    year = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
    for line in (f"{minute} {hour} * * *" for hour in range(5) for minute in (0, 15, 30)):
        schedule = ServerCronSchedule(cron=line, timezone=timezone)
        fired = asyncio.run(schedule.get_dates(start=year[0], end=year[1]))
        assert len(fired) >= 365
        assert [instant for instant in fired if not fires_at((line,), instant, timezone)] == []


@pytest.mark.parametrize("day", [date(2026, 3, 29), date(2026, 10, 25)])
def test_a_minute_has_its_tick_on_the_days_when_clocks_change(day: date) -> None:
    task = MissionTask(id=1, name="t", template="x", period="1min")
    mission = Mission(id=1, name="m", task_ids=(1,), timezone="Europe/Berlin")
    (pushed,) = mission_spec(mission, None, {TaskId(1): task}).schedules
    schedule = ServerCronSchedule(cron=pushed.cron, timezone=pushed.timezone)
    start = datetime.combine(day, time(), tzinfo=UTC)
    fired = asyncio.run(schedule.get_dates(start=start, end=start + timedelta(hours=5)))
    assert len(fired) == 5 * 60 + 1


@pytest.mark.parametrize("name", ["right/UTC", "posix/UTC", "posixrules", "localtime", "Factory", "Mars", ""])
def test_files_that_are_no_place_are_no_time_zone(name: str) -> None:
    with pytest.raises(ValidationError, match="expected the name of a time zone"):
        timezones.validate_python(name)
