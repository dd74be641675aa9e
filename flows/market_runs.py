"""Refreshes that run in the desk's worker: started without waiting for them, and asked about later.

run = start_update("signals")
update_status(run).ready
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.exceptions import ObjectNotFound

from flows.desk import desk_api, desk_of_this_process
from missiondesk.store.market.ledger import steps_of_run
from models.errors import InputRefused, UnknownName

Status = Literal["PENDING", "STARTED", "SUCCESS", "FAILURE"]

DEPLOYMENT: Final = "desk"
TAG: Final = "market-data"
"""On every deployment of this kind, and so on its runs."""

FLOWS: Final = {
    "all": "update_all",
    "ohlc": "fetch_ohlc_data",
    "indicators": "calculate_indicators",
    "ema": "calculate_ema_channel",
    "regime": "calculate_market_regime",
    "signals": "generate_trading_signals",
}
"""What may be asked for → the flow that does it."""

STARTED: Final = {
    "all": "Full data update started (all tasks)",
    "ohlc": "OHLC data fetch started",
    "indicators": "Indicator calculations started",
    "ema": "EMA channel calculations started",
    "regime": "Market regime calculations started",
    "signals": "Trading signal generation started",
}
"""What to tell whoever asked for it."""


@dataclass(frozen=True)
class UpdateStatus:
    """Where an update stands. successful, result and error are None until it is ready.

    result: the steps' reports by step (`ohlc`, `indicators`, `ema_channel`, `market_regime`, `signals`).
    """

    task_id: str
    status: Status
    ready: bool
    successful: bool | None
    result: dict[str, Any] | None
    error: str | None


def start_update(task: str = "all") -> str:
    """Have the worker run it as soon as it can; the id to ask `update_status` for.

    Raises UnknownName for another task, InputRefused when the desk has no such deployment.
    """
    if task not in FLOWS:
        raise UnknownName("task", task, FLOWS)
    name = f"{FLOWS[task]}/{DEPLOYMENT}"
    with desk_api(desk_of_this_process().settings), get_client(sync_client=True) as client:
        try:
            deployment = client.read_deployment_by_name(name)
        except ObjectNotFound:
            raise InputRefused(f"Prefect has no deployment {name!r}: `missiondesk sync` makes it") from None
        run = client.create_flow_run_from_deployment(deployment.id)
    return str(run.id)


def update_status(task_id: str) -> UpdateStatus:
    """Raises UnknownName when there is no such update."""
    run = _find(task_id)
    state = run.state
    kind = StateType.SCHEDULED if state is None else state.type
    status = _status(kind)
    if status in ("PENDING", "STARTED"):
        return UpdateStatus(task_id, status, False, None, None, None)
    reports = {
        each.step: each.report if each.report is not None else {"error": each.error or "it was cut off"}
        for each in steps_of_run(desk_of_this_process().engine, str(run.id))
    }
    successful = status == "SUCCESS"
    error = None if successful else (state.message if state is not None else None) or str(kind.value)
    return UpdateStatus(task_id, status, True, successful, reports, error)


def _find(task_id: str) -> FlowRun:
    unknown = UnknownName("update", task_id, ())
    try:
        id = UUID(task_id)
    except ValueError:
        raise unknown from None
    with desk_api(desk_of_this_process().settings), get_client(sync_client=True) as client:
        try:
            run = client.read_flow_run(id)
        except ObjectNotFound:
            raise unknown from None
    if TAG not in run.tags:
        raise unknown
    return run


def _status(kind: StateType) -> Status:
    match kind:
        case StateType.SCHEDULED | StateType.PENDING:
            return "PENDING"
        case StateType.RUNNING | StateType.PAUSED | StateType.CANCELLING:
            return "STARTED"
        case StateType.COMPLETED:
            return "SUCCESS"
        case StateType.FAILED | StateType.CRASHED | StateType.CANCELLED:
            return "FAILURE"
