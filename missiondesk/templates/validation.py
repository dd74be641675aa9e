"""Whether a Task fits its template: known template, valid params, and the rules that span fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from missiondesk.templates.members import effects
from missiondesk.templates.params import Params, problems_in
from missiondesk.templates.registry import Effect, TaskTemplate, find
from models.errors import InputRefused, InvalidRow, UnknownName
from models.mission import MissionTask


class ParamsRefused(InputRefused):
    """Params that do not fit their template; `problems` are (field, "expected …, got …")."""

    def __init__(self, template: str, problems: list[tuple[str, str]]) -> None:
        said = "; ".join(f"{field}: {problem}" if field else problem for field, problem in problems)
        super().__init__(f"params of {template} are not valid: {said}")
        self.template, self.problems = template, problems


def parse_params(template: TaskTemplate, given: Mapping[str, Any]) -> Params:
    """The validated params. Raises ParamsRefused with every problem found."""
    try:
        return template.params.model_validate(given)
    except ValidationError as error:
        raise ParamsRefused(template.name, problems_in(error)) from None
    except RecursionError:
        raise ParamsRefused(template.name, [("", "expected less nesting, got more than fits")]) from None


def check_task(task: MissionTask) -> tuple[TaskTemplate, Params]:
    """A Task's template and validated params. Raises InvalidRow with every problem found."""
    try:
        template = find(task.template)
    except UnknownName as error:
        raise InvalidRow("task", task.name, [("template", str(error))]) from None
    try:
        params = parse_params(template, task.params)
    except ParamsRefused as error:
        problems = [(f"params.{field}" if field else "params", text) for field, text in error.problems]
        raise InvalidRow("task", task.name, problems) from None
    if task.retries and "order" in effects(template, params):
        raise InvalidRow(
            "task", task.name, [("retries", f"expected 0, because this Task trades, got {task.retries}")]
        )
    return template, params


def effects_of(task: MissionTask) -> frozenset[Effect]:
    """What trying this Task may change outside. Raises InvalidRow."""
    return effects(*check_task(task))
