"""Period words ↔ cron ↔ duration, and the cron lines that a Mission may bring of its own.

The period words are a closed, ordered set. A longer period compares greater than a shorter one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from croniter import CroniterError, croniter

from models.errors import InputRefused


@dataclass(frozen=True)
class _Meaning:
    word: str
    cron: str
    duration: timedelta
    aliases: tuple[str, ...]


class Period(Enum):
    """How often a Task is due. `str()` gives the word that tables, slugs and pages use."""

    ONE_MINUTE = _Meaning("1min", "* * * * *", timedelta(minutes=1), ("1m", "1minute"))
    FIVE_MINUTES = _Meaning("5min", "*/5 * * * *", timedelta(minutes=5), ("5m", "5minutes"))
    FIFTEEN_MINUTES = _Meaning("15min", "*/15 * * * *", timedelta(minutes=15), ("15m", "15minutes"))
    THIRTY_MINUTES = _Meaning("30min", "*/30 * * * *", timedelta(minutes=30), ("30m", "30minutes"))
    ONE_HOUR = _Meaning("60min", "0 * * * *", timedelta(hours=1), ("60m", "1h", "1hour", "60minutes"))
    FOUR_HOURS = _Meaning("4h", "0 */4 * * *", timedelta(hours=4), ("4hour", "4hours", "240min", "240m"))
    ONE_DAY = _Meaning("1day", "0 0 * * *", timedelta(days=1), ("1d", "24h"))
    ONE_WEEK = _Meaning("1week", "0 0 * * 1", timedelta(weeks=1), ("1w", "7d"))

    @property
    def word(self) -> str:
        return self.value.word

    @property
    def cron(self) -> str:
        return self.value.cron

    @property
    def duration(self) -> timedelta:
        return self.value.duration

    def __str__(self) -> str:
        return self.value.word

    def __lt__(self, other: Period) -> bool:
        return self.duration < other.duration

    def __le__(self, other: Period) -> bool:
        return self.duration <= other.duration

    def __gt__(self, other: Period) -> bool:
        return self.duration > other.duration

    def __ge__(self, other: Period) -> bool:
        return self.duration >= other.duration


DEFAULT_PERIOD = Period.ONE_MINUTE

_BY_WORD = {word: period for period in Period for word in (period.value.word, *period.value.aliases)}


def parse_period(word: str) -> Period:
    """The Period of a word or alias, whatever its case; raises InputRefused with the list of words."""
    period = _BY_WORD.get(word.strip().lower()) if isinstance(word, str) else None
    if period is None:
        words = ", ".join(str(period) for period in Period)
        raise InputRefused(f"expected a period to be one of {words}, got {word!r}")
    return period


# The fields of a crontab object, in cron order, under the names in use for them.
_CRON_FIELDS = (
    ("minute",),
    ("hour",),
    ("day_of_month", "day"),
    ("month_of_year", "month"),
    ("day_of_week", "weekday"),
)

# Random and hashed times (R, H(0-30)/5) and "the weekday nearest to the 15th" (15W), as croniter reads them:
# the first two name no time, and Prefect's scheduler takes none of the three.
_NOT_SCHEDULED = re.compile(r"(?<![\w@])[rh]|\dw|w\d", re.IGNORECASE)


def cron_lines(crontab: Any) -> tuple[str, ...]:
    """Cron lines of a Mission's `crontab`: an object, a cron string, or a list of either; () for None.

    Five fields, or six with seconds last. Weekday 1–5 is Monday to Friday, 0 and 7 are Sunday.
    Raises InputRefused naming the entry that is not valid.
    """
    if crontab is None:
        return ()
    entries = crontab if isinstance(crontab, list) else [crontab]
    if not entries:
        raise InputRefused("expected crontab to hold at least one entry, got an empty list; null means none")
    lines = tuple(_cron_line(entry) for entry in entries)
    return tuple(dict.fromkeys(lines))


def _cron_line(entry: Any) -> str:
    if isinstance(entry, dict):
        line = _line_of_object(entry)
    elif isinstance(entry, str):
        line = " ".join(entry.split())
    else:
        raise InputRefused(f"expected a crontab entry to be an object or a cron string, got {entry!r}")
    if not (line.startswith("@") or len(line.split()) in (5, 6)):
        raise InputRefused(f"expected a cron line of 5 fields (or 6, seconds last), got {entry!r}")
    if _NOT_SCHEDULED.search(line):
        raise InputRefused(f"expected a cron line without R, H and W, got {entry!r}")
    try:
        croniter(line).get_next()  # "31 February" is well-formed, and never comes
    except (CroniterError, ValueError, TypeError, KeyError) as error:
        raise InputRefused(f"expected a valid cron line, got {entry!r}: {error}") from None
    return line


def _line_of_object(entry: dict[str, Any]) -> str:
    known = {name for names in _CRON_FIELDS for name in names}
    if unknown := sorted(set(entry) - known):
        raise InputRefused(
            f"expected crontab fields among {', '.join(sorted(known))}, got {', '.join(unknown)}"
        )
    fields = []
    for names in _CRON_FIELDS:
        given = [entry[name] for name in names if name in entry]
        fields.append(str(given[0]) if given else "*")
    return " ".join(fields)


def floor_to_minute(instant: datetime) -> datetime:
    """The aware instant with seconds and microseconds cut off."""
    return instant.replace(second=0, microsecond=0)


def fires_at(lines: Sequence[str], instant: datetime, timezone: str) -> bool:
    """Whether any cron line fires in the minute of `instant`, read on the clock of `timezone`.

    A time that the clock skips in spring fires where Prefect has its run: earlier by what is skipped, so
    02:30 in Berlin at 01:30.
    """
    # Prefect's instants are of a class of its own, whose times never stand in a skipped hour.
    plain = datetime.fromtimestamp(instant.timestamp(), UTC)
    told = _told_by_clock(floor_to_minute(plain), ZoneInfo(timezone))
    return any(croniter.match(_without_seconds(line), local) for line in lines for local in told)


# No clock was ever put forward by more, but where a whole day was left out.
_LONGEST_SKIP = timedelta(hours=3)


def _told_by_clock(instant: datetime, zone: ZoneInfo) -> list[datetime]:
    """The local time of `instant`, and the skipped one that Prefect takes for it, if there is one."""
    local = instant.astimezone(zone)
    told = [local.replace(tzinfo=None)]
    skip = _offset(instant + _LONGEST_SKIP, zone) - _offset(instant, zone)
    skipped = told[0] + skip
    if skip > timedelta(0) and skipped.replace(tzinfo=zone, fold=1).astimezone(UTC) == instant:
        told.append(skipped)
    return told


@cache
def fires_as_in_utc(period: Period, timezone: str) -> bool:
    """Whether the period's cron fires at the same instants on the clocks of `timezone` and of UTC.

    But for those that a cron of a zone with summer time leaves out: an hour comes twice in autumn.
    """
    zone = ZoneInfo(timezone)
    offsets = {_offset(_OFFSETS_FROM + timedelta(days=days), zone) for days in _OFFSET_DAYS}
    return not any(offset % period.duration for offset in offsets)


_OFFSETS_FROM = datetime(2020, 1, 1, tzinfo=UTC)
_OFFSET_DAYS = range(0, 20 * 365, 5)


def _offset(instant: datetime, zone: ZoneInfo) -> timedelta:
    offset = instant.astimezone(zone).utcoffset()
    assert offset is not None
    return offset


def _without_seconds(line: str) -> str:
    fields = line.split()
    return " ".join(fields[:5]) if len(fields) == 6 else line


def firing_times(line: str, after: datetime, timezone: str) -> Iterator[datetime]:
    """UTC firing times of one cron line, strictly after `after`, without end."""
    times = croniter(line, after.astimezone(ZoneInfo(timezone)), ret_type=datetime)
    while True:
        yield times.get_next().astimezone(UTC)


def next_firing(lines: Sequence[str], after: datetime, timezone: str) -> datetime:
    """The first UTC instant strictly after `after` at which any of the lines fires."""
    return min(next(firing_times(line, after, timezone)) for line in lines)
