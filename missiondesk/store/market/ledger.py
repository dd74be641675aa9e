"""Which steps of a refresh have run in which hour, and what they reported."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Engine, text

from missiondesk.store.market.staging import execute


class Standing(StrEnum):
    """How a step stands in an hour, over all runs of it. CUT_OFF: its process was gone before it ended."""

    ABSENT = "absent"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CUT_OFF = "cut off"


# Whoever runs a step holds this lock for as long as its connection lives: a dead process is seen in a moment.
_HOLD = text("SELECT pg_advisory_lock(hashtext('missiondesk.refresh'), hashtext(:run || ' ' || :step))")
_STANDING = text("""
    SELECT standing FROM (
        SELECT started_at, CASE WHEN status = 'running' AND NOT EXISTS (
            SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = database
            WHERE datname = current_database() AND locktype = 'advisory' AND objsubid = 2
              AND classid = hashtext('missiondesk.refresh')::oid AND objid = hashtext(run || ' ' || step)::oid
        ) THEN 'cut off' ELSE status END AS standing
        FROM refresh_step WHERE step = :step AND hour = :hour
    ) AS of_each_run
    ORDER BY standing = 'running' DESC, started_at DESC LIMIT 1
""")


@dataclass(frozen=True)
class StepRun:
    """One step of one run. `report` is what a step that succeeded did, `error` why another one did not."""

    step: str
    hour: datetime
    standing: Standing
    started_at: datetime
    finished_at: datetime | None
    report: Mapping[str, Any] | None
    error: str | None


@contextmanager
def sign_of_life(engine: Engine, run: str, step: str) -> Iterator[None]:
    """While it is entered, a step that was begun counts as running; without, as cut off."""
    connection = engine.connect()
    connection.detach()  # a pooled connection would keep the lock after its closing
    try:
        connection.execute(_HOLD, {"run": run, "step": step})
        yield
    finally:
        connection.close()


def begin_step(engine: Engine, run: str, step: str, hour: datetime) -> None:
    """Note that a run has begun a step; again, if it did before."""
    with engine.connect() as connection:
        execute(
            connection,
            "INSERT INTO refresh_step (run, step, hour, status) VALUES (:run, :step, :hour, 'running')"
            " ON CONFLICT (run, step) DO UPDATE SET hour = excluded.hour, status = 'running',"
            " started_at = clock_timestamp(), finished_at = NULL, report = NULL, error = NULL",
            run=run,
            step=step,
            hour=hour,
        )


def end_step(
    engine: Engine, run: str, step: str, *, report: Mapping[str, Any] | None = None, error: str | None = None
) -> None:
    """Note how a step ended: with a report, or with an error."""
    with engine.connect() as connection:
        execute(
            connection,
            "UPDATE refresh_step SET status = :status, finished_at = clock_timestamp(),"
            " report = CAST(:report AS jsonb), error = :error WHERE run = :run AND step = :step",
            status=Standing.SUCCEEDED if error is None else Standing.FAILED,
            report=None if report is None else json.dumps(report),
            error=error,
            run=run,
            step=step,
        )


def standing(engine: Engine, step: str, hour: datetime) -> Standing:
    """Running while any run of it is; otherwise how the newest one ended."""
    with engine.connect() as connection:
        found = connection.scalar(_STANDING, {"step": step, "hour": hour})
    return Standing.ABSENT if found is None else Standing(found)


def steps_of_run(engine: Engine, run: str) -> list[StepRun]:
    """The steps that a run has begun, in their order."""
    with engine.connect() as connection:
        rows = execute(
            connection,
            "SELECT step, hour, status, started_at, finished_at, report, error FROM refresh_step"
            " WHERE run = :run ORDER BY started_at",
            run=run,
        )
        return [StepRun(row[0], row[1], Standing(row[2]), *row[3:]) for row in rows]


def forget_steps(engine: Engine, before: datetime) -> int:
    """Delete the steps of earlier hours; how many they were."""
    with engine.connect() as connection:
        deleted = execute(connection, "DELETE FROM refresh_step WHERE hour < :before", before=before)
        return int(deleted.rowcount)
