"""Looks after workflows and executions: dated crontabs are renewed daily, old executions go on Mondays."""

from __future__ import annotations

from datetime import UTC, datetime

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.desk import desk_of_this_process
from missiondesk.components.purge import purge_executions
from missiondesk.components.workflows import Workflows


@flow(name="renew-crontabs", persist_result=False)
def renew_crontabs() -> State[None]:
    """Work out the dated crontabs of shifted workflows for the months to come."""
    renewed = Workflows(desk_of_this_process().engine, "renew-crontabs").refresh_dated(datetime.now(UTC))
    return Completed(message=f"{len(renewed)} crontab(s) renewed: {', '.join(renewed) or 'none was due'}")


@flow(name="purge-executions", persist_result=False)
def purge_old_executions() -> State[None]:
    """Delete executions that ended more than a week ago."""
    purged = purge_executions(desk_of_this_process().engine)
    return Completed(message=f"{purged} execution(s) older than 7 days deleted")
