"""The flow behind every Mission: one run is one tick. Each Mission's deployment has its own flow name."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from prefect import Flow, flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.context import FlowRunContext
from prefect.states import Completed, Failed

from flows.desk import desk_api, desk_of_this_process
from missiondesk.ticks.outcome import TickOutcome
from missiondesk.ticks.tick import Run, run_tick
from models.errors import MissiondeskError
from tasks.attempt import attempt_as_task_run
from tasks.mirror import RunMirror
from tasks.results import data_of

# The server gives runs of a schedule such keys, whether its own loop or a schedule change made them.
_SCHEDULED_KEY = "scheduled "


def free_lease(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """A tick whose process died gives its Missionary back, without waiting for the lease to run out."""
    desk_of_this_process().walks.release_by_holder(str(flow_run.id))


@flow(name="mission", persist_result=False, validate_parameters=True, on_crashed=[free_lease])
def mission_flow(mission: str) -> State[TickOutcome]:
    """One tick of the Mission of this name. Not-now answers end Completed under a telling name."""
    flow_run = _this_flow_run()
    run = _run_of(flow_run)
    with get_client(sync_client=True) as client:
        mirror = RunMirror(client, flow_run, run)
        try:
            outcome = run_tick(
                desk_of_this_process(), mission, run, attempt_as_task_run, started=mirror.started
            )
        except MissiondeskError as error:
            outcome = TickOutcome("Failed", f"{type(error).__name__}: {error}", mission)
            with suppress(MissiondeskError):
                desk_of_this_process().notifications.tick_failed(mission, str(error))
        mirror.ended(outcome)
    if outcome.ending == "Failed":
        return Failed(message=outcome.message, data=outcome)
    return Completed(name=outcome.ending, message=outcome.message, data=outcome)


def run_mission(mission: str | int) -> TickOutcome:
    """Run one tick now, from a notebook or the command line; it shows under the Mission's own flow.

    `mission` is a name or an id. Raises UnknownName, naming the Missions that exist. Uses the running desk's
    Prefect unless an API is set.
    """
    name = desk_of_this_process().missions.get(mission).name
    with desk_api(desk_of_this_process().settings):
        state: State[Any] = mission_flow.with_options(name=name)(name, return_state=True)
    outcome = data_of(state)
    if isinstance(outcome, TickOutcome):
        return outcome
    raise outcome


def _this_flow_run() -> FlowRun:
    context = FlowRunContext.get()
    assert context is not None and context.flow_run is not None
    return context.flow_run


def _run_of(flow_run: FlowRun) -> Run:
    scheduled = flow_run.auto_scheduled or (flow_run.idempotency_key or "").startswith(_SCHEDULED_KEY)
    due = flow_run.expected_start_time if scheduled else None
    return Run(str(flow_run.id), due or datetime.now(UTC), ad_hoc=not scheduled)
