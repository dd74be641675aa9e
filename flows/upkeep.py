"""Looks after what no tick looks after: dead leases, and orders of Missions that no longer tick."""

from __future__ import annotations

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed

from flows.desk import desk_of_this_process
from tasks.arguments import untouched
from tasks.upkeep import follow_orders, free_dead_leases


@flow(name="upkeep", persist_result=False)
def upkeep() -> State[None]:
    desk = untouched(desk_of_this_process())
    freed = free_dead_leases(desk)
    unsettled = follow_orders(desk, str(flow_run.id))
    return Completed(message=f"{freed} dead lease(s) freed; {unsettled} order(s) not settled yet")
