"""Looks after what no tick looks after: dead leases, orders of Missions that no longer tick, old rows."""

from __future__ import annotations

from datetime import UTC, datetime

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed

from flows.desk import desk_of_this_process
from tasks.arguments import untouched
from tasks.upkeep import follow_orders, free_dead_leases, purge_old_rows


@flow(name="upkeep", persist_result=False)
def upkeep() -> State[None]:
    desk = untouched(desk_of_this_process())
    freed = free_dead_leases(desk)
    unsettled = follow_orders(desk, str(flow_run.id))
    return Completed(message=f"{freed} dead lease(s) freed; {unsettled} order(s) not settled yet")


@flow(name="purge-history", persist_result=False)
def purge_history() -> State[None]:
    """Delete refresh steps, timed items and prices that are older than the settings keep them."""
    return Completed(message=str(purge_old_rows(untouched(desk_of_this_process()), datetime.now(UTC))))
