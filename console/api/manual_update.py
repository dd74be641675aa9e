"""Refreshes of the market data on demand: started in the desk's worker, and asked about by their id."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from console.api.inputs import Text
from console.api.refusals import BadRequest, Refusal, documented
from console.api.runs import asking_prefect

router = APIRouter(prefix="/api/manual-update", tags=["Market data"])
_NO_PREFECT = documented(HTTPStatus.SERVICE_UNAVAILABLE)


class UpdateStarted(BaseModel):
    status: Literal["success"] = "success"
    message: str
    task_id: str
    task_type: str


class UpdateAnswer(BaseModel):
    """successful, result and error are null until it is ready."""

    model_config = ConfigDict(from_attributes=True)

    task_id: str
    status: Literal["PENDING", "STARTED", "SUCCESS", "FAILURE"]
    ready: bool
    successful: bool | None
    result: Annotated[
        dict[str, Any] | None,
        Field(description="What each step did: ohlc, indicators, ema_channel, market_regime, signals"),
    ]
    error: str | None


@router.post("/", responses=documented(HTTPStatus.CONFLICT) | _NO_PREFECT)
def start_manual_update(
    task: Annotated[Text, Query(description="all, ohlc, indicators, ema, regime or signals")] = "all",
) -> UpdateStarted:
    """Have the desk's worker refresh the market data, all of it or one step."""
    # Here and below, so that the API starts without Prefect.
    from flows.market_runs import FLOWS, STARTED, start_update

    if task not in FLOWS:
        tasks = list(FLOWS)
        said = f"expected task to be one of {', '.join(tasks)}, got {task!r}"
        raise BadRequest(Refusal(message=said, valid_tasks=tasks))
    with asking_prefect():
        task_id = start_update(task)
    return UpdateStarted(message=STARTED[task], task_id=task_id, task_type=task)


@router.get("/", responses=documented(HTTPStatus.NOT_FOUND) | _NO_PREFECT)
def read_manual_update(
    task_id: Annotated[Text | None, Query(description="What the start of an update answered")] = None,
) -> UpdateAnswer:
    """How an update stands."""
    from flows.market_runs import update_status

    if not task_id:
        raise BadRequest(Refusal(message="expected task_id, the id of a started update, got none"))
    with asking_prefect():
        return UpdateAnswer.model_validate(update_status(task_id))
