"""The ResultLog, newest first, page by page."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from console.api.inputs import Id, Text, row_key
from console.api.refusals import documented
from console.api.stores import DeskStores
from missiondesk.store.results import LoggedResult
from models.result import Role

router = APIRouter(prefix="/api/results", tags=["Results"])

LARGEST_PAGE = 1000


class ResultAnswer(BaseModel):
    id: int
    mission_id: int
    missionary_id: int
    flow_run_id: str | None
    task_id: int | None
    task_name: str
    role: Role
    task_index: int | None
    passed: bool
    rule: str
    msg: str
    logged_at: datetime
    text: Annotated[str, Field(description="PASS or FAIL, rule and message")]


class ResultPage(BaseModel):
    results: list[ResultAnswer]
    before: Annotated[int | None, Field(description="Ask for the next page with this; null at the end")]


@router.get("", responses=documented(HTTPStatus.NOT_FOUND))
def read_results(
    stores: DeskStores,
    mission: Annotated[
        Text | None, Query(description="Name or id; the id of a deleted Mission finds what it logged")
    ] = None,
    size: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 100,
    before: Annotated[Id | None, Query(description="Only results with a smaller id")] = None,
) -> ResultPage:
    """A page of the results of one Mission, or of all. Pages stay put while new results come in."""
    key = None if mission is None else row_key(mission)
    page = [_answer(logged) for logged in stores.results.page(key, size, before=before)]
    return ResultPage(results=page, before=page[-1].id if len(page) == size else None)


def _answer(logged: LoggedResult) -> ResultAnswer:
    result = logged.result
    return ResultAnswer(
        id=logged.id,
        mission_id=logged.mission_id,
        missionary_id=logged.missionary_id,
        flow_run_id=logged.flow_run_id,
        task_id=result.task_id,
        task_name=result.task_name,
        role=result.role,
        task_index=result.task_index,
        passed=result.passed,
        rule=result.rule,
        msg=result.msg,
        logged_at=result.logged_at,
        text=str(result),
    )
