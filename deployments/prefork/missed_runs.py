"""Which of the scheduled runs that a downtime left behind still run."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import assert_never

from models.mission import MissedRuns

# Less than the shortest period of a Mission, so a run that is merely waiting for a free child is not missed.
MISSED_AFTER = timedelta(minutes=1)


def is_missed(due: datetime, now: datetime) -> bool:
    return now - due > MISSED_AFTER


def reason_to_skip(
    *, due: datetime, now: datetime, newer_due: bool, missed_runs: MissedRuns, max_lateness: timedelta
) -> str | None:
    """Why a scheduled run must not run any more, or None when it may. Ad-hoc runs are never asked about.

    `newer_due`: a later run of the same deployment is due at `now` as well.
    skip: none runs that is later than `max_lateness`. latest: of the missed ones the newest runs, however
    late. all: every one runs.
    """
    lateness = now - due
    match missed_runs:
        case "skip":
            skipped = lateness > max_lateness
        case "latest":
            skipped = newer_due and is_missed(due, now)
        case "all":
            skipped = False
        case _:
            assert_never(missed_runs)
    if not skipped:
        return None
    return f"late: due at {due:%Y-%m-%d %H:%M:%S}Z, {lateness.total_seconds():.0f} s late; {missed_runs=!s}"
