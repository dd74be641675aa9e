"""Runs a batch of items in a desk: what a call left for its time, or for another try."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Engine

from missiondesk.store.timed_tasks import TimedTasks
from missiondesk.timed.claimed import Claimed
from missiondesk.timed.entrypoint import load_timed_task
from missiondesk.timed.instants import whole_second
from missiondesk.timed.items import Group
from missiondesk.timed.outcome import TimedOutcome
from missiondesk.timed.settings import TimedSettings
from models.timed import TimedStatus


def run_batch(engine: Engine, batch: UUID, holder: str, now: datetime) -> TimedOutcome | None:
    """Claim what is due and left of the batch and call its function; None when nothing is.

    Raises InputRefused when the function can't be imported, and what the function raises; the items have
    failed then, and are tried again while attempts are left.
    """
    settings = TimedSettings.load()
    store = TimedTasks(engine)
    items = store.claim_batch(
        batch,
        holder,
        whole_second(now),
        lease_seconds=settings.lease_seconds,
        most_attempts=settings.attempts,
    )
    if not items:
        store.ask_again(batch, whole_second(now))
        return None
    first = items[0]
    timestamp = first.call["timestamp"]
    group = Group(
        first.executed_time if timestamp is None else timestamp,
        first.executed_time,
        {item.key: item.item for item in items},
    )
    try:
        timed_task = load_timed_task(first.entrypoint)
    except BaseException as error:
        store.finish(group.items.keys(), holder, TimedStatus.FAILURE, f"{type(error).__name__}: {error}")
        raise
    claimed = Claimed(store, holder, [group], now, settings)
    return timed_task.run(claimed, first.call["args"], first.call["kwargs"])
