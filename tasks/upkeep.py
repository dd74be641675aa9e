"""What has to be looked after between ticks."""

from __future__ import annotations

from datetime import datetime

from prefect import task
from prefect.cache_policies import NO_CACHE

from missiondesk.desk import Desk
from missiondesk.retention import Purged, Retention, purge_history
from missiondesk.timed.settings import TimedSettings


@task(cache_policy=NO_CACHE, persist_result=False)
def free_dead_leases(desk: Desk) -> int:
    """Clear leases that ran out; how many there were."""
    return len(desk.walks.reap())


@task(cache_policy=NO_CACHE, persist_result=False, retries=2, retry_delay_seconds=5)
def follow_orders(desk: Desk, flow_run_id: str) -> int:
    """Look up every order that may be at a venue; how many have not settled yet."""
    return desk.gateway(flow_run_id).follow_all()


@task(cache_policy=NO_CACHE, persist_result=False, retries=2, retry_delay_seconds=5)
def purge_old_rows(desk: Desk, now: datetime) -> Purged:
    """Delete what is older than the settings keep it."""
    return purge_history(desk.engine, Retention.load(), TimedSettings.load().window, now)
