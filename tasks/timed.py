"""Runs items of timed tasks whose time has come."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from prefect import task
from prefect.cache_policies import NO_CACHE
from sqlalchemy import Engine

from missiondesk.timed.batches import run_batch
from missiondesk.timed.outcome import TimedOutcome


@task(name="run timed items", cache_policy=NO_CACHE, persist_result=False)
def run_timed_items(engine: Engine, batch: UUID, flow_run_id: str) -> TimedOutcome | None:
    """Call the function of this batch for what is left of it; None when nothing is."""
    return run_batch(engine, batch, flow_run_id, datetime.now(UTC))
