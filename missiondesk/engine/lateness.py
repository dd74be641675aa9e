"""What becomes of a tick that starts later than it was due."""

from __future__ import annotations

from datetime import datetime, timedelta

from models.mission import MissedRuns
from models.timer import next_firing

# A tick counts as missed from the shortest period on: by then its successor may already be due.
MISSED_AFTER = timedelta(minutes=1)


def reason_to_skip(
    *,
    scheduled_at: datetime,
    begun_at: datetime,
    now: datetime,
    missed_runs: MissedRuns,
    max_lateness: timedelta,
    cron_lines: tuple[str, ...],
    timezone: str,
) -> str | None:
    """Why a scheduled tick must not run any more, or None when it may. Ad-hoc ticks are never asked about.

    Later than `max_lateness` never runs. Of the ticks missed in a downtime (begun a minute late or more)
    none, the latest, or all run; the latest is the one after which no line of `cron_lines` had fired when it
    began.
    Time spent in a queue since `begun_at` makes late, not missed.
    """
    lateness = now - scheduled_at
    if lateness > max_lateness:
        return f"late by {_seconds(lateness)}, at most {_seconds(max_lateness)} allowed"
    missed_by = begun_at - scheduled_at
    if missed_by < MISSED_AFTER or missed_runs == "all":
        return None
    if missed_runs == "skip":
        return f"missed by {_seconds(missed_by)}; missed ticks are skipped"
    newer = next_firing(cron_lines, scheduled_at, timezone)
    return (
        f"missed by {_seconds(missed_by)}; a newer tick is due since {newer:%H:%M:%S}Z"
        if newer <= begun_at
        else None
    )


def _seconds(duration: timedelta) -> str:
    return f"{duration.total_seconds():.0f} s"
