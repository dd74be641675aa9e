"""Workflows: Missions that walk whole and whose Tasks ask components."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, NoReturn
from uuid import uuid4

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from sqlalchemy import Connection, Engine, Row, func, insert, null, or_, select, update

from missiondesk.components.registry import find_component
from missiondesk.components.requirements import Unit
from missiondesk.components.shifted_crons import Schedule, check_year, shifted_schedule
from missiondesk.components.texts import check_storable, check_storable_json
from missiondesk.store.database import transaction
from missiondesk.store.saving import save_mission, save_task
from missiondesk.templates.validation import check_task
from models.component_tables import workflow
from models.errors import InputRefused, InvalidRow, MissiondeskError, UnknownName
from models.mission import Mission
from models.tables import mission, task
from models.timer import cron_lines
from models.validation import problems_of

log = logging.getLogger(__name__)

_SHIFTS: dict[Unit, timedelta] = {
    "s": timedelta(seconds=1),
    "min": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "D": timedelta(days=1),
}
MOST_MODULES = 200


class WorkflowExists(InputRefused):
    """Another workflow, Mission or id of this name exists; nothing was changed."""


class WorkflowDisabled(MissiondeskError):
    """Runs of a workflow that is not enabled end at once without doing anything, so none is asked for."""


def _text_of_number(given: object) -> object:
    return str(given) if isinstance(given, int) and not isinstance(given, bool) else given


WorkflowId = Annotated[str, BeforeValidator(_text_of_number)]


class _OldClients(BaseModel):
    """As old clients write it: null is absent."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {name: value for name, value in given.items() if value is not None}


class WorkflowModule(_OldClients):
    """One step: which component, with which arguments."""

    module_hash: str = ""
    name: str = ""
    args: Any = None
    timeout_seconds: float = Field(default=120, gt=0, le=86_400)

    @model_validator(mode="after")
    def _names_a_component(self) -> WorkflowModule:
        if not (self.module_hash or self.name):
            raise ValueError("expected module_hash or name, got neither")
        return self

    @property
    def reference(self) -> str:
        return self.module_hash or self.name


class NewWorkflow(_OldClients):
    """What `/workflow/create` takes. `stop_on_fail`: a module that fails ends the run."""

    workflow_id: WorkflowId = Field(default_factory=lambda: uuid4().hex, min_length=1, max_length=200)
    name: str = Field(min_length=1, max_length=200)
    description: str = Field(default="", max_length=10_000)
    enable: bool = True
    execute_cron_list: list[str] = Field(min_length=1, max_length=100)
    execute_shift_time: int = Field(default=0, ge=-40_000_000, le=40_000_000)
    execute_shift_unit: Unit = "s"
    timezone: str = "UTC"
    execute_modules: list[WorkflowModule] = Field(min_length=1, max_length=MOST_MODULES)
    stop_on_fail: bool = False

    @classmethod
    def parse(cls, given: dict[str, Any]) -> NewWorkflow:
        """Raises InputRefused with every problem found."""
        try:
            parsed = cls.model_validate(given)
        except ValidationError as error:
            raise InputRefused(
                "; ".join(f"{field}: {problem}" for field, problem in problems_of(error))
            ) from None
        for field in ("workflow_id", "name", "description"):
            check_storable(field, getattr(parsed, field))
        for module in parsed.execute_modules:
            check_storable_json("execute_modules", module.args)
        return parsed


class Workflows:
    """`actor` is whom the audit names for what is written here."""

    def __init__(self, engine: Engine, actor: str | None = None) -> None:
        self._engine, self._actor = engine, actor

    def create(self, new: NewWorkflow, now: datetime) -> Workflow:
        """Write the Mission, its Tasks and what they were made of, at once.

        Raises WorkflowExists, UnknownName for a component, InputRefused that names each invalid cron.
        """
        try:
            return self._create(new, now)
        except InvalidRow:
            with self._engine.connect() as connection:
                _refuse_taken(connection, new)  # a Mission of that name was made meanwhile
            raise

    def _create(self, new: NewWorkflow, now: datetime) -> Workflow:
        lines = _valid_lines(new.execute_cron_list)
        with transaction(self._engine, self._actor) as connection:
            connection.execute(select(func.pg_advisory_xact_lock(func.hashtext("missiondesk.workflow"))))
            _refuse_taken(connection, new)
            task_ids = [
                _save_step(connection, new, number, module)
                for number, module in enumerate(new.execute_modules, 1)
            ]
            fields = {
                "name": new.name,
                "description": new.description,
                "task_ids": task_ids,
                "walk": "whole",
                "stop_on_fail": new.stop_on_fail,
                "enabled": new.enable,
                "timezone": new.timezone,
            }
            saved = save_mission(connection, fields, new=True)
            shift = new.execute_shift_time * _SHIFTS[new.execute_shift_unit]
            schedule = shifted_schedule(lines, saved.timezone, shift, now)
            if schedule.dated:
                check_year(lines, saved.timezone, shift, now)
            save_mission(
                connection,
                {"id": saved.id, "crontab": list(schedule.lines), "timezone": schedule.timezone},
            )
            connection.execute(insert(workflow).values(_row(new, saved, lines, schedule, now)))
            return _workflow(connection.execute(_WORKFLOWS.where(workflow.c.mission_id == saved.id)).one())

    def find(self, reference: str | int) -> Workflow:
        """By its own id, else by its Mission's. Raises UnknownName with the ones that exist."""
        reference = str(reference)
        by_number = reference.isascii() and reference.isdigit() and len(reference) < 19
        own_id = workflow.c.workflow_id == reference.replace("\0", "")
        matches = or_(own_id, workflow.c.mission_id == int(reference)) if by_number else own_id
        with self._engine.connect() as connection:
            row = connection.execute(_WORKFLOWS.where(matches).order_by(own_id.desc())).first()
            if row is None:
                raise UnknownName("workflow", reference, connection.scalars(select(workflow.c.workflow_id)))
        return _workflow(row)

    def all(self) -> list[Workflow]:
        """By id."""
        with self._engine.connect() as connection:
            return [_workflow(row) for row in connection.execute(_WORKFLOWS.order_by(mission.c.id))]

    def page(self, size: int, *, before: int | None = None) -> list[Workflow]:
        """At most `size` of those whose Mission has a smaller id than `before`, the newest first."""
        query = _WORKFLOWS.order_by(mission.c.id.desc()).limit(size)
        if before is not None:
            query = query.where(mission.c.id < before)
        with self._engine.connect() as connection:
            return [_workflow(row) for row in connection.execute(query)]

    def refresh_dated(self, now: datetime) -> list[str]:
        """Work out dated crontabs anew, as of `now`; the names of the workflows whose crontab changed.

        One that a user changed stays, from then on; so does one that can't be worked out.
        """
        changed = []
        for found in self.all():
            if not found.dated:
                continue
            try:
                if self._renew(found, now):
                    changed.append(found.name)
            except InputRefused as error:
                log.warning("workflow %r keeps its crontab: %s", found.name, error)
        return changed

    def _renew(self, found: Workflow, now: datetime) -> bool:
        shift = found.shift_time * _SHIFTS[found.shift_unit]
        schedule = shifted_schedule(found.cron_lines, found.timezone, shift, now)
        lines = list(schedule.lines)
        this = workflow.c.mission_id == found.mission_id
        with transaction(self._engine, self._actor) as connection:
            row = connection.execute(_WRITTEN.where(this)).one_or_none()
            if row is None:  # deleted just now
                return False
            if row.crontab != row.written_lines or row.timezone != schedule.timezone:
                log.warning("workflow %r has a schedule of its user's now, which stays", found.name)
                connection.execute(update(workflow).where(this).values(dated=False, written_lines=null()))
                return False
            if lines == row.crontab:
                return False
            of_workflow = mission.c.id == found.mission_id
            connection.execute(update(mission).where(of_workflow).values(crontab=lines))
            connection.execute(update(workflow).where(this).values(written_lines=lines))
        return True


class Workflow(BaseModel):
    """A workflow as it stands. `crontab` are its Mission's lines; `problem` says what is wrong with them."""

    model_config = ConfigDict(frozen=True)

    mission_id: int
    workflow_id: str
    name: str
    description: str
    enabled: bool
    stop_on_fail: bool
    cron_lines: list[str]
    shift_time: int
    shift_unit: Unit
    timezone: str
    dated: bool
    modules: list[dict[str, Any]]
    crontab: list[str]
    problem: str = ""
    created_at: datetime


_WORKFLOWS = select(
    workflow,
    mission.c.name,
    mission.c.description,
    mission.c.enabled,
    mission.c.stop_on_fail,
    mission.c.crontab,
).join(mission, mission.c.id == workflow.c.mission_id)


_WRITTEN = (
    select(mission.c.crontab, mission.c.timezone, workflow.c.written_lines)
    .join(workflow, workflow.c.mission_id == mission.c.id)
    .with_for_update()
)


def _workflow(row: Row[Any]) -> Workflow:
    fields = row._asdict()
    try:
        lines, problem = list(cron_lines(fields["crontab"])), ""
    except InputRefused as error:
        lines, problem = [], str(error)
    return Workflow(**{**fields, "crontab": lines, "problem": problem})


def _valid_lines(given: Sequence[str]) -> list[str]:
    lines: list[str] = []
    problems: list[str] = []
    for entry in given:
        try:
            lines += cron_lines(entry)
        except InputRefused as error:
            problems.append(str(error))
    if problems:
        raise InputRefused(f"execute_cron_list: {'; '.join(problems)}")
    return lines


def _refuse_taken(connection: Connection, new: NewWorkflow) -> None:
    if connection.scalar(select(workflow.c.mission_id).where(workflow.c.workflow_id == new.workflow_id)):
        _taken("workflow_id", new.workflow_id)
    if connection.scalar(select(mission.c.id).where(mission.c.name == new.name)):
        _taken("name", new.name)


def _taken(field: str, value: str) -> NoReturn:
    raise WorkflowExists(f"{field}: expected one of its own, got {value!r}, which another has")


def _save_step(connection: Connection, new: NewWorkflow, number: int, module: WorkflowModule) -> int:
    component = find_component(connection, module.reference)
    name = f"{new.name[:100]} {number} {re.sub(r'[/%&<>]', '-', component.name)[:60]}"
    if connection.scalar(select(task.c.id).where(task.c.name == name)):
        name = f"{name} {uuid4().hex[:12]}"
    params = {
        "module": component.hash,
        "args": module.args,
        "timeout_seconds": module.timeout_seconds,
    }
    fields = {"name": name, "template": "component", "params": params}
    saved = save_task(connection, fields, check_task, new=True)
    return int(saved.id)


def _row(
    new: NewWorkflow, saved: Mission, lines: list[str], schedule: Schedule, now: datetime
) -> dict[str, Any]:
    return {
        "mission_id": saved.id,
        "workflow_id": new.workflow_id,
        "cron_lines": lines,
        "shift_time": new.execute_shift_time,
        "shift_unit": new.execute_shift_unit,
        "timezone": new.timezone,
        "dated": schedule.dated,
        "written_lines": list(schedule.lines) if schedule.dated else null(),
        "modules": [module.model_dump() for module in new.execute_modules],
        "created_at": now,
    }
