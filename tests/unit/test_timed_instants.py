"""Which instant a timestamp means, and which items are within the window."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from missiondesk.timed.instants import Place, expiry, microseconds, place, read_instant, whole_second

HOUR = timedelta(hours=1)
TWO_O_CLOCK = datetime(2020, 10, 11, 2, 0, tzinfo=UTC)

instants = st.tuples(st.integers(10**8, 7 * 10**9), st.integers(0, 999_999)).map(
    lambda parts: datetime.fromtimestamp(parts[0], UTC).replace(microsecond=parts[1])
)
windows = st.integers(1, 3 * 86400).map(lambda seconds: timedelta(seconds=seconds))


@pytest.mark.parametrize(
    "timestamp",
    [
        1602381600,
        1602381600.0,
        "1602381600",
        "2020-10-11T02:00:00Z",
        "2020-10-11 10:00:00+08:00",
        TWO_O_CLOCK,
        datetime(2020, 10, 11, 10, 0, tzinfo=timezone(timedelta(hours=8))),
    ],
)
def test_every_spelling_of_an_instant_means_the_same(timestamp: object) -> None:
    assert read_instant(timestamp) == TWO_O_CLOCK


@pytest.mark.parametrize(
    ("timestamp", "said"),
    [
        (TWO_O_CLOCK.replace(tzinfo=None), "no time zone"),
        ("2020-10-11 02:00:00", "offset such as Z"),
        ("20201011", "offset such as Z"),
        ("soon", "'soon'"),
        ("", "got ''"),
        ("١٦٠٢٣٨١٦٠٠", "offset such as Z"),
        (True, "got True"),
        (None, "got None"),
        (1602381600000, "milliseconds?"),
        (10**400, "milliseconds?"),
        (float("nan"), "no date"),
        (float("inf"), "no date"),
        (datetime.max.replace(tzinfo=timezone(-timedelta(hours=8))), "expected"),
    ],
)
def test_what_means_no_instant_is_refused_with_what_was_expected(timestamp: object, said: str) -> None:
    with pytest.raises(ValueError, match="expected unix seconds") as refused:
        read_instant(timestamp)
    assert said in str(refused.value)


@given(instants)
def test_spellings_come_back_as_the_instant_they_were_made_of(instant: datetime) -> None:
    assert read_instant(instant.isoformat()) == instant
    assert read_instant(int(instant.timestamp())) == whole_second(instant)
    assert microseconds(instant) == round(whole_second(instant).timestamp()) * 10**6 + instant.microsecond


@pytest.mark.parametrize(
    ("clock", "expected"),
    [
        ("00:59:59", Place.OUTSIDE),
        ("01:00:00", Place.DUE),
        ("02:00:00", Place.DUE),
        ("02:00:01", Place.AHEAD),
        ("03:00:00", Place.AHEAD),
        ("03:00:01", Place.OUTSIDE),
        ("03:05:00", Place.OUTSIDE),
    ],
)
def test_both_edges_of_the_window_are_inside(clock: str, expected: Place) -> None:
    assert place(datetime.fromisoformat(f"2020-10-11T{clock}Z"), TWO_O_CLOCK, HOUR) is expected


@given(
    instants, st.integers(-4 * 86400, 4 * 86400), windows, st.integers(0, 999_999), st.integers(0, 999_999)
)
def test_the_window_counts_in_whole_seconds(
    now: datetime, offset: int, window: timedelta, of_now: int, of_instant: int
) -> None:
    base = whole_second(now)
    found = place(
        base + timedelta(seconds=offset, microseconds=of_instant), base.replace(microsecond=of_now), window
    )
    inside = abs(offset) <= window.total_seconds()
    assert found is (Place.OUTSIDE if not inside else Place.DUE if offset <= 0 else Place.AHEAD)


@given(instants, windows, st.integers(0, 4 * 86400))
def test_what_is_due_has_not_expired(instant: datetime, window: timedelta, late: int) -> None:
    now = instant + timedelta(seconds=late)
    due = place(instant, now, window) is Place.DUE
    assert due == (expiry(instant, window) >= whole_second(now))
