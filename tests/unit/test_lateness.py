"""Which late ticks still run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from missiondesk.engine.lateness import reason_to_skip
from models.mission import MissedRuns

DUE = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
HOURLY = ("0 * * * *",)


def skipped(
    late: float,
    missed_runs: MissedRuns,
    max_lateness: float = 300,
    lines: tuple[str, ...] = HOURLY,
    *,
    queued: float = 0,
) -> str | None:
    return reason_to_skip(
        scheduled_at=DUE,
        begun_at=DUE + timedelta(seconds=late - queued),
        now=DUE + timedelta(seconds=late),
        missed_runs=missed_runs,
        max_lateness=timedelta(seconds=max_lateness),
        cron_lines=lines,
        timezone="UTC",
    )


@pytest.mark.parametrize("policy", ["skip", "latest", "all"])
def test_in_time_always_runs_and_too_late_never(policy: MissedRuns) -> None:
    assert skipped(59.9, policy) is None
    assert "late by 301 s" in (skipped(301, policy) or "")


def test_of_missed_ticks_none_the_latest_or_all_run() -> None:
    assert "missed" in (skipped(61, "skip", 7200) or "")
    assert skipped(61, "latest", 7200) is None
    assert "10:00:00" not in (skipped(3600, "latest", 7200) or "")
    assert "newer tick is due since 11:00" in (skipped(3600, "latest", 7200) or "")
    assert skipped(3600, "all", 7200) is None


def test_any_line_of_a_crontab_makes_a_newer_tick() -> None:
    assert skipped(600, "latest", 7200, ("0 * * * *", "5 * * * *")) is not None
    assert skipped(240, "latest", 7200, ("0 * * * *", "5 * * * *")) is None


@pytest.mark.parametrize("policy", ["skip", "latest", "all"])
def test_time_spent_in_a_queue_is_not_a_downtime(policy: MissedRuns) -> None:
    assert skipped(3700, policy, 7200, queued=3690) is None
    assert "late by 7201 s" in (skipped(7201, policy, 7200, queued=7200) or "")


@given(late=st.floats(0, 20_000), limit=st.floats(1, 20_000))
def test_a_stricter_policy_never_runs_what_a_milder_one_skips(late: float, limit: float) -> None:
    runs = [skipped(late, policy, limit) is None for policy in ("skip", "latest", "all")]
    assert runs == sorted(runs)
