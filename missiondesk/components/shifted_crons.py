"""Crons moved by a shift, as cron lines again: no instant is lost and none comes twice.

Cron lines are not closed under shifts, nor under "each instant once": no line says "the day before the second
Monday", and in a zone with daylight saving time none says "an hour of elapsed time before 03:00". So:

- one line, not shifted, stays as it is;
- lines that look only at weekday and time, in a zone of one offset, are moved around the week: always exact;
- everything else becomes dated lines in UTC for this month and the two after it, which are worked out anew as
  time goes by (`Workflows.refresh_dated`). Dates in cron have no year, so none may stand for a year.

docs/decisions/shifted-crons.md says why.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import takewhile
from typing import Any
from zoneinfo import ZoneInfo

from croniter import CroniterError, croniter

from models.errors import InputRefused
from models.timer import firing_times

MOST_LINES = 60
MOST_INSTANTS = 150_000  # in about three months
LONGEST_SHIFT = timedelta(days=366)

_DAY, _WEEK = 86_400, 7 * 86_400
_MONTHS_AHEAD, _MOST_MONTHS = 3, 11
_THREE_MONTHS = timedelta(days=90)

Seconds = frozenset[int]


@dataclass(frozen=True)
class Schedule:
    """Cron lines that share no instant. `dated`: they are right for at least two months, then made anew."""

    lines: tuple[str, ...]
    timezone: str
    dated: bool = False


def shifted_schedule(lines: Sequence[str], timezone: str, shift: timedelta, now: datetime) -> Schedule:
    """The schedule of every firing time of any line, moved by `shift` (whole seconds of elapsed time).

    Raises InputRefused for a shift of more than 366 days and for what takes too many lines.
    """
    if abs(shift) > LONGEST_SHIFT:
        raise InputRefused(f"expected a shift of at most {LONGEST_SHIFT.days} days, got {shift}")
    distinct = list(dict.fromkeys(lines))
    if len(distinct) == 1 and not shift:
        return Schedule((distinct[0],), timezone)
    weeks = [_seconds_of_week(line) for line in distinct]
    weekly = [week for week in weeks if week is not None]
    if len(weekly) == len(distinct) and _has_one_offset(timezone, now):
        moved = {(second + int(shift.total_seconds())) % _WEEK for second in set().union(*weekly)}
        return Schedule(_checked(_weekly_lines(moved)), timezone)
    return Schedule(_checked(_dated_lines(distinct, timezone, shift, now)), "UTC", dated=True)


def check_year(lines: Sequence[str], timezone: str, shift: timedelta, now: datetime) -> None:
    """Raises InputRefused when the dated lines of some month within a year would be too many."""
    start = _start_of_month(now)
    times = _times_of_dates(lines, timezone, shift, start, _months_later(start, 12 + _MONTHS_AHEAD))
    for month in range(12):
        begin, end = (
            _months_later(start, month).date(),
            _months_later(start, month + _MONTHS_AHEAD).date(),
        )
        _checked(_lines_of_dates({day: times[day] for day in times if begin <= day < end}))


def _checked(lines: Sequence[str]) -> tuple[str, ...]:
    if len(lines) > MOST_LINES:
        raise InputRefused(
            f"expected crons and a shift that {MOST_LINES} cron lines can say, got {len(lines)}: "
            "use fewer crons, or UTC"
        )
    return tuple(lines)


def _seconds_of_week(line: str) -> set[int] | None:
    """The seconds after Sunday midnight at which it fires; None when it looks at the date."""
    fields, nth_weekday = croniter.expand(line)
    days, months, weekdays = fields[2:5]
    if days != ["*"] or months != ["*"] or nth_weekday or len(fields) > 6:
        return None
    times = _seconds_of_day(fields)
    return {weekday % 7 * _DAY + time for weekday in _numbers(weekdays, 7) for time in times}


def _seconds_of_day(fields: Sequence[list[Any]]) -> list[int]:
    seconds = _numbers(fields[5], 60) if len(fields) == 6 else [0]
    return [
        hour * 3600 + minute * 60 + second
        for hour in _numbers(fields[1], 24)
        for minute in _numbers(fields[0], 60)
        for second in seconds
    ]


def _numbers(field: list[Any], count: int) -> list[int]:
    return list(range(count)) if field == ["*"] else field


def _has_one_offset(timezone: str, now: datetime) -> bool:
    zone = ZoneInfo(timezone)
    return (
        len({(now + timedelta(days=days)).astimezone(zone).utcoffset() for days in range(-30, 1100, 5)}) == 1
    )


def _weekly_lines(seconds_of_week: Collection[int]) -> list[str]:
    times: dict[int, set[int]] = defaultdict(set)
    for second in seconds_of_week:
        times[second // _DAY].add(second % _DAY)
    weekdays_of: dict[Seconds, set[int]] = defaultdict(set)
    for weekday, seconds in times.items():
        weekdays_of[frozenset(seconds)].add(weekday)
    return [
        _line(time, "*", "*", _field(weekdays, 0, 6))
        for seconds, weekdays in sorted(weekdays_of.items(), key=lambda entry: min(entry[1]))
        for time in _times(seconds)
    ]


def _dated_lines(lines: Sequence[str], timezone: str, shift: timedelta, now: datetime) -> list[str]:
    start = _start_of_month(now)
    for months in range(_MONTHS_AHEAD, _MOST_MONTHS + 1):
        times = _times_of_dates(lines, timezone, shift, start, _months_later(start, months))
        if times:
            return _lines_of_dates(times)
    # Nothing fires for months: a line that does not either, for a Mission without any ticks by period.
    before = start - timedelta(days=1)
    return [f"0 0 1 {before.month} *"]


def _start_of_month(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _months_later(start: datetime, months: int) -> datetime:
    index = start.year * 12 + start.month - 1 + months
    return start.replace(year=index // 12, month=index % 12 + 1)


def _times_of_dates(
    lines: Sequence[str], timezone: str, shift: timedelta, start: datetime, end: datetime
) -> dict[date, Seconds]:
    most = MOST_INSTANTS * max(1, (end - start) // _THREE_MONTHS)
    instants: set[datetime] = set()
    for line in lines:
        for instant in _firings(line, timezone, start - shift, end - shift):
            instants.add(instant)
            if len(instants) > most:
                raise InputRefused(
                    f"expected crons that fire less often in zone {timezone}, got {line!r}: use UTC, "
                    "or crons without day of month and month"
                )
    times: dict[date, set[int]] = defaultdict(set)
    for instant in instants:
        moved = instant + shift
        times[moved.date()].add(moved.hour * 3600 + moved.minute * 60 + moved.second)
    return {day: frozenset(seconds) for day, seconds in times.items()}


def _firings(line: str, timezone: str, start: datetime, end: datetime) -> Iterator[datetime]:
    """In UTC, from `start` until before `end`.

    croniter works out one instant after the other, which takes seconds for a line that fires each minute. So
    it says only on which days a line fires, and all instants of the days when clocks are changed.
    """
    zone = ZoneInfo(timezone)
    try:
        times_of_day = _seconds_of_day(croniter.expand(line)[0])
        for midnight in _days(line, start - timedelta(days=2), end + timedelta(days=2)):
            begins = midnight.replace(tzinfo=zone).astimezone(UTC)
            ends = (midnight + timedelta(days=1)).replace(tzinfo=zone).astimezone(UTC)
            of_day: Iterable[datetime] = (begins + timedelta(seconds=time) for time in times_of_day)
            if ends - begins != timedelta(days=1):
                before = begins - timedelta(seconds=1)
                of_day = takewhile(ends.__gt__, firing_times(line, before, timezone))
            yield from (instant for instant in of_day if start <= instant < end)
    except CroniterError:
        raise InputRefused(f"expected a cron line that fires at some time, got {line!r}") from None


def _days(line: str, start: datetime, end: datetime) -> Iterator[datetime]:
    """The days between these instants on which a line fires, as naive midnights."""
    dates = line if line.startswith("@") else f"0 0 {' '.join(line.split()[2:5])}"
    days = croniter(dates, start.replace(tzinfo=None), ret_type=datetime)
    last = None
    while (day := days.get_next()) < end.replace(tzinfo=None):
        if day.date() != last:
            last = day.date()
            yield datetime.combine(last, datetime.min.time())


def _lines_of_dates(times: Mapping[date, Seconds]) -> list[str]:
    days_of: dict[Seconds, dict[int, set[int]]] = defaultdict(lambda: defaultdict(set))
    for day, seconds in sorted(times.items()):
        days_of[seconds][day.month].add(day.day)
    lines = []
    for seconds, months in days_of.items():
        months_of: dict[frozenset[int], set[int]] = defaultdict(set)
        for month, days in months.items():
            months_of[frozenset(days)].add(month)
        for same_days, in_months in months_of.items():
            dates = _field(same_days, 1, 31), _field(in_months, 1, 12)
            lines += [_line(time, *dates, "*") for time in _times(seconds)]
    return lines


@dataclass(frozen=True)
class _Times:
    """All combinations of these hours, minutes and seconds."""

    hours: frozenset[int]
    minutes: frozenset[int]
    seconds: frozenset[int]


def _times(seconds_of_day: Seconds) -> list[_Times]:
    """The seconds of a day as combinations that share none."""
    minutes: dict[tuple[int, int], set[int]] = defaultdict(set)
    for moment in seconds_of_day:
        minutes[moment % 60, moment // 3600].add(moment // 60 % 60)
    hours: dict[tuple[int, frozenset[int]], set[int]] = defaultdict(set)
    for (second, hour), of_hour in minutes.items():
        hours[second, frozenset(of_hour)].add(hour)
    seconds: dict[tuple[frozenset[int], frozenset[int]], set[int]] = defaultdict(set)
    for (second, within_hour), of_hours in hours.items():
        seconds[within_hour, frozenset(of_hours)].add(second)
    made = [_Times(of, minutes_of, frozenset(at)) for (minutes_of, of), at in seconds.items()]
    return sorted(made, key=lambda each: (min(each.hours), min(each.minutes), min(each.seconds)))


def _line(time: _Times, days: str, months: str, weekdays: str) -> str:
    line = f"{_field(time.minutes, 0, 59)} {_field(time.hours, 0, 23)} {days} {months} {weekdays}"
    return line if time.seconds == {0} else f"{line} {_field(time.seconds, 0, 59)}"


def _field(numbers: Collection[int], first: int, last: int) -> str:
    """`*`, `*/5`, or single numbers and ranges with commas."""
    ordered = sorted(numbers)
    if len(ordered) == last - first + 1:
        return "*"
    step = ordered[1] - ordered[0] if len(ordered) > 1 else 0
    if step > 1 and first == 0 and ordered == list(range(0, last + 1, step)):
        return f"*/{step}"
    parts: list[list[int]] = []
    for number in ordered:
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ",".join(f"{part[0]}-{part[-1]}" if len(part) > 2 else ",".join(map(str, part)) for part in parts)
