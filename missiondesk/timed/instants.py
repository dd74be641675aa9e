"""Which instant a timestamp means, and whether it is due, ahead, or outside the window."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

# Unix seconds from 1973 to 5138. Fewer digits could as well be a date.
_DIGITS = re.compile(r"[0-9]{9,11}", re.ASCII)
_FORMS = "expected unix seconds, an aware datetime, or ISO 8601 with an offset such as Z or +08:00"


class Place(Enum):
    """Where an instant lies, seen from now."""

    DUE = "due"
    AHEAD = "ahead"
    OUTSIDE = "outside"


def read_instant(timestamp: object) -> datetime:
    """The instant in UTC, to the microsecond. Raises ValueError saying what was expected and what came."""
    match timestamp:
        case bool():
            raise _unreadable(timestamp)
        case int() | float():
            return _of_seconds(timestamp)
        case datetime():
            return _aware(timestamp, timestamp)
        case str() if _DIGITS.fullmatch(timestamp):
            return _of_seconds(int(timestamp))
        case str():
            try:
                return _aware(datetime.fromisoformat(timestamp), timestamp)
            except ValueError:
                raise _unreadable(timestamp) from None
        case _:
            raise _unreadable(timestamp)


def microseconds(instant: datetime) -> int:
    """Since 1970, exact."""
    return (instant - _EPOCH) // _MICROSECOND


def place(instant: datetime, now: datetime, window: timedelta) -> Place:
    """Both edges of the window are inside. Counts in whole seconds, as unix timestamps do."""
    late_by = whole_second(now) - whole_second(instant)
    if abs(late_by) > window:
        return Place.OUTSIDE
    return Place.AHEAD if late_by < timedelta() else Place.DUE


def expiry(instant: datetime, window: timedelta) -> datetime:
    """The last whole second in which an item of this instant may be begun."""
    return whole_second(instant) + window


def whole_second(moment: datetime) -> datetime:
    """The second in which this moment lies."""
    return moment.replace(microsecond=0)


def _of_seconds(seconds: float) -> datetime:
    try:
        return _EPOCH + timedelta(seconds=seconds)
    except (OverflowError, ValueError):
        raise ValueError(
            f"expected unix seconds, got {Decimal(seconds):.6g}, which is no date (milliseconds?)"
        ) from None


def _aware(moment: datetime, given: object) -> datetime:
    if moment.utcoffset() is None:
        raise _unreadable(given)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise _unreadable(given) from None


def _unreadable(given: object) -> ValueError:
    naive = isinstance(given, datetime)
    return ValueError(f"{_FORMS}, got {given!r:.80}" + (", which has no time zone" if naive else ""))
