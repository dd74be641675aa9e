from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.prefork.missed_runs import reason_to_skip
from models.mission import MissedRuns

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LATENESS_ALLOWED = timedelta(minutes=5)


@pytest.mark.parametrize(
    ("missed_runs", "late", "newer_due", "runs"),
    [
        ("skip", timedelta(0), False, True),
        ("skip", timedelta(minutes=5), False, True),
        ("skip", timedelta(minutes=5), True, True),
        ("skip", timedelta(minutes=5, milliseconds=1), False, False),
        ("skip", timedelta(days=2), True, False),
        ("latest", timedelta(0), False, True),
        ("latest", timedelta(days=2), False, True),
        ("latest", timedelta(seconds=60), True, True),
        ("latest", timedelta(seconds=61), True, False),
        ("latest", timedelta(days=2), True, False),
        ("all", timedelta(0), True, True),
        ("all", timedelta(days=2), True, True),
        ("all", timedelta(days=2), False, True),
    ],
)
def test_which_late_runs_still_run(
    missed_runs: MissedRuns, late: timedelta, newer_due: bool, runs: bool
) -> None:
    reason = reason_to_skip(
        due=NOW - late,
        now=NOW,
        newer_due=newer_due,
        missed_runs=missed_runs,
        max_lateness=LATENESS_ALLOWED,
    )
    assert (reason is None) == runs


def test_the_reason_says_when_it_was_due_and_which_rule_skipped_it() -> None:
    reason = reason_to_skip(
        due=NOW - timedelta(hours=1),
        now=NOW,
        newer_due=True,
        missed_runs="latest",
        max_lateness=LATENESS_ALLOWED,
    )
    assert reason == "late: due at 2026-03-01 11:00:00Z, 3600 s late; missed_runs=latest"


@given(
    dues=st.lists(st.integers(0, 10_000), unique=True, min_size=1, max_size=8),
    missed_runs=st.sampled_from(["skip", "latest", "all"]),
)
def test_of_any_backlog_at_least_what_the_policy_promises_runs(
    dues: list[int], missed_runs: MissedRuns
) -> None:
    times = [NOW - timedelta(seconds=seconds) for seconds in sorted(dues, reverse=True)]
    running = [
        due
        for due in times
        if reason_to_skip(
            due=due,
            now=NOW,
            newer_due=due != times[-1],
            missed_runs=missed_runs,
            max_lateness=LATENESS_ALLOWED,
        )
        is None
    ]
    match missed_runs:
        case "all":
            assert running == times
        case "latest":
            assert running[-1] == times[-1]
            assert all(NOW - due <= timedelta(minutes=1) for due in running[:-1])
        case "skip":
            assert running == [due for due in times if NOW - due <= LATENESS_ALLOWED]
