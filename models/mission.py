"""A Mission (what to walk) and its MissionTasks (the steps), as the tables state them, validated."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Final, Literal, NewType
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from models.account import PAPER_ACCOUNT, Mode
from models.errors import InputRefused
from models.timer import DEFAULT_PERIOD, Period, cron_lines, parse_period
from models.validation import value_from_row

MissionId = NewType("MissionId", int)
TaskId = NewType("TaskId", int)

Walk = Literal["progress", "whole"]
Overlap = Literal["skip", "queue"]
MissedRuns = Literal["skip", "latest", "all"]

LONGEST_SECONDS: Final = 10 * 365 * 24 * 3600
"""Of every duration of a row: ten years."""

ALWAYS_TRUE = "always_true"
ALWAYS_FALSE = "always_false"

_REFUSED_IN_NAMES = re.compile(r"[/%&<>]")


def _checked_name(name: str) -> str:
    if not 1 <= len(name) <= 200 or _REFUSED_IN_NAMES.search(name):
        raise ValueError(f"expected 1 to 200 characters and none of / % & < >, got {name!r}")
    return name


def _period(word: Any) -> Any:
    if isinstance(word, Period):
        return word
    try:
        return parse_period(word)
    except InputRefused as error:
        raise ValueError(str(error)) from None


def _timezone(name: str) -> str:
    if name not in _timezones():
        raise ValueError(f"expected the name of a time zone such as UTC or Europe/Berlin, got {name!r}")
    return name


@cache
def _timezones() -> frozenset[str]:
    """Those of the IANA database; beside them it has files with leap seconds, copies and what names no place.

    Of these Prefect refuses some, and its scheduler stops at the others.
    """
    return frozenset(available_timezones() - {"Factory", "localtime"})


def _crontab(entry: Any) -> Any:
    if isinstance(entry, tuple):
        return entry
    try:
        return cron_lines(entry)
    except InputRefused as error:
        raise ValueError(str(error)) from None


Name = Annotated[str, AfterValidator(_checked_name)]
PeriodWord = Annotated[Period, BeforeValidator(_period)]
Crontab = Annotated[tuple[str, ...], BeforeValidator(_crontab)]
Timezone = Annotated[str, AfterValidator(_timezone)]


class MissionTask(BaseModel):
    """One step of a Mission: a template with its params, when it may run, and how exceptions are retried."""

    model_config = ConfigDict(frozen=True, extra="ignore", arbitrary_types_allowed=True)

    id: TaskId
    name: Name
    template: str = Field(min_length=1)
    params: dict[str, Any] = Field(default_factory=dict)
    can_run: str = ALWAYS_TRUE
    period: PeriodWord | None = None
    retries: int = Field(default=0, ge=0, le=100)
    retry_delay_seconds: float = Field(default=0, ge=0, le=LONGEST_SECONDS)
    timeout_seconds: float | None = Field(default=None, gt=0, le=LONGEST_SECONDS)
    cache_seconds: float | None = Field(default=None, gt=0, le=LONGEST_SECONDS)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> MissionTask:
        return value_from_row(cls, "task", row)


class Mission(BaseModel):
    """An ordered queue of Tasks and a Target, with when and how ticks walk it. Ids refer to `task` rows."""

    model_config = ConfigDict(frozen=True, extra="ignore", arbitrary_types_allowed=True)

    id: MissionId
    name: Name
    description: str = ""
    task_ids: tuple[TaskId, ...] = ()
    target_id: TaskId | None = None
    walk: Walk = "progress"
    stop_on_fail: bool = False
    can_run_before_each_task: str = ""
    can_run_before_aim: str = ""
    enabled: bool = True
    crontab: Crontab = ()
    timezone: Timezone = "UTC"
    next_mission_id: MissionId | None = None
    repeat: bool = False
    account: str = PAPER_ACCOUNT
    mode: Mode = "paper"
    overlap: Overlap = "skip"
    missed_runs: MissedRuns = "latest"
    max_lateness_seconds: float = Field(default=300, gt=0, le=LONGEST_SECONDS)
    expires_after_seconds: float | None = Field(default=None, gt=0, le=LONGEST_SECONDS)

    @model_validator(mode="after")
    def _walks_somewhere(self) -> Mission:
        if not self.task_ids and self.target_id is None:
            raise ValueError("expected task_ids or target_id to name at least one Task, got neither")
        if self.walk == "whole" and (self.next_mission_id is not None or self.repeat):
            raise ValueError(
                "expected next_mission_id and repeat to be empty when walk is whole, got one of them set"
            )
        return self

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Mission:
        present = {name: value for name, value in row.items() if value is not None}
        return value_from_row(cls, "mission", present)

    @property
    def next_is_itself(self) -> bool:
        return self.next_mission_id == self.id


def first_period(queue: tuple[MissionTask, ...], target: MissionTask | None) -> Period:
    """The period a fresh Missionary starts with: the first one found along its queue, then its Target."""
    steps = (*queue, target) if target else queue
    return next((step.period for step in steps if step.period is not None), DEFAULT_PERIOD)
