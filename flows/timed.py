"""Runs one batch of a timed task: items that came in one call for one timestamp."""

from __future__ import annotations

from uuid import UUID

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed

from flows.desk import desk_of_this_process
from tasks.arguments import untouched
from tasks.timed import run_timed_items


@flow(name="timed", persist_result=False)
def timed_flow(batch: UUID) -> State[None]:
    """Whoever claims an item first runs it, so a batch that was run elsewhere ends Skipped."""
    outcome = run_timed_items(untouched(desk_of_this_process().engine), batch, str(flow_run.id))
    if outcome is None:
        return Completed(
            name="Skipped",
            message="nothing to run: done elsewhere, expired, out of attempts, or before its time",
        )
    return Completed(message=str(outcome))
