"""Tasks: list, read, create, change, delete. Template and params are checked before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter

from console.api.inputs import TaskKey, row_key
from console.api.mission_values import Done, NewTask, TaskAnswer, TaskChange
from console.api.refusals import documented, problems_of_row
from console.api.stores import DeskStores
from missiondesk.templates.validation import check_task
from models.errors import InvalidRow
from models.mission import MissionTask

router = APIRouter(prefix="/api/tasks", tags=["Tasks"])
_UNKNOWN = documented(HTTPStatus.NOT_FOUND)
_REFUSED = documented(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)


@router.get("")
def list_tasks(stores: DeskStores) -> list[TaskAnswer]:
    """Every Task by name, those that are not valid included."""
    return [_answer(row) for row in stores.tasks.rows()]


@router.post("", status_code=HTTPStatus.CREATED, responses=documented(HTTPStatus.CONFLICT))
def create_task(fields: NewTask, stores: DeskStores) -> TaskAnswer:
    return _answer(stores.tasks.row(stores.tasks.create(fields, check_task).id))


@router.get("/{task}", responses=_UNKNOWN)
def read_task(task: TaskKey, stores: DeskStores) -> TaskAnswer:
    return _answer(stores.tasks.row(row_key(task)))


@router.patch("/{task}", responses=_REFUSED)
def change_task(task: TaskKey, fields: TaskChange, stores: DeskStores) -> TaskAnswer:
    """Every Mission that has it on its list uses it as it is from its next tick on."""
    changed = stores.tasks.change(row_key(task), fields, check_task)
    return _answer(stores.tasks.row(changed.id))


@router.delete("/{task}", responses=_REFUSED)
def delete_task(task: TaskKey, stores: DeskStores) -> Done:
    """Refused while a Mission has it on its list."""
    stores.tasks.delete(row_key(task))
    return Done(message=f"the Task {task} is deleted")


def _answer(row: Mapping[str, Any]) -> TaskAnswer:
    try:
        check_task(MissionTask.from_row(row))
    except InvalidRow as error:
        problems = problems_of_row(error)
    else:
        problems = []
    return TaskAnswer(**row, problems=problems)
