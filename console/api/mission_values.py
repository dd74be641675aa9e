"""Missions and Tasks as requests write them and as answers show them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, with_config
from pydantic.config import JsonDict
from typing_extensions import TypedDict

from console.api.inputs import Id, Json, JsonObject, RowName, Seconds, SomeSeconds, Text
from console.api.refusals import Problem
from models.account import Mode
from models.mission import MissedRuns, Overlap, Walk

_EXAMPLE_MISSION: JsonDict = {
    "name": "btc-dip",
    "task_ids": [1],
    "crontab": "*/5 * * * *",
    "enabled": False,
}
_EXAMPLE_TASK: JsonDict = {
    "name": "rsi is low",
    "template": "rsi_below",
    "params": {"symbol": "BTC/USD", "timeframe": "1h", "value": 30},
    "period": "60min",
}


def _only_these(example: JsonDict) -> ConfigDict:
    return ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [example]})


class _MissionSettings(TypedDict, total=False):
    description: Text
    task_ids: Annotated[list[Id], Field(description="The Tasks to walk, in order")]
    target_id: Annotated[Id | None, Field(description="The Task that ends the walk when it passes")]
    walk: Annotated[Walk, Field(description="`whole`: every tick walks the whole list")]
    stop_on_fail: Annotated[bool, Field(description="Of a whole walk: the first no ends it")]
    can_run_before_each_task: Annotated[Text, Field(description="Guard: a Condition or a Task; `!` negates")]
    can_run_before_aim: Annotated[Text, Field(description="Guard before the Target")]
    enabled: bool
    crontab: Annotated[Json, Field(description="A cron string, an object, a list of either; null for none")]
    timezone: Annotated[Text, Field(examples=["UTC", "Europe/Berlin"])]
    next_mission_id: Annotated[Id | None, Field(description="Enabled when this one finishes")]
    repeat: Annotated[bool, Field(description="Begin a fresh walk after the Target")]
    account: Annotated[Text, Field(description="Name of the exchange account")]
    mode: Mode
    overlap: Overlap
    missed_runs: MissedRuns
    max_lateness_seconds: SomeSeconds
    expires_after_seconds: SomeSeconds | None


@with_config(_only_these(_EXAMPLE_MISSION))
class NewMission(_MissionSettings):
    """What is left out gets its default."""

    name: RowName


@with_config(_only_these({"enabled": False}))
class MissionChange(_MissionSettings, total=False):
    """What is left out stays as it is."""

    name: RowName


class _TaskSettings(TypedDict, total=False):
    params: Annotated[JsonObject, Field(description="As the template's JSON Schema says")]
    can_run: Annotated[Text, Field(description="Precondition: a check or a Condition; `!` negates")]
    period: Annotated[Text | None, Field(description="1min 5min 15min 30min 60min 4h 1day 1week")]
    retries: Annotated[int, Field(ge=0, le=100, description="For exceptions only; 0 where it trades")]
    retry_delay_seconds: Seconds
    timeout_seconds: SomeSeconds | None
    cache_seconds: SomeSeconds | None


@with_config(_only_these(_EXAMPLE_TASK))
class NewTask(_TaskSettings):
    """What is left out gets its default."""

    name: RowName
    template: Text


@with_config(_only_these({"period": "4h"}))
class TaskChange(_TaskSettings, total=False):
    """What is left out stays as it is."""

    name: RowName
    template: Text


class LastResultAnswer(BaseModel):
    """The newest result of a Mission."""

    model_config = ConfigDict(from_attributes=True)

    passed: bool
    task_name: str
    rule: str
    msg: str
    logged_at: datetime


class Progress(BaseModel):
    """Where a Mission stands: `next_index` of `steps` Tasks are passed by its open Missionary."""

    model_config = ConfigDict(from_attributes=True)

    missionary_id: int | None
    next_index: int
    steps: int
    period: str | None
    running: bool
    hold_rule: str | None
    hold_reason: str | None
    open_orders: int
    last_result: LastResultAnswer | None


class MissionAnswer(BaseModel):
    """The row as it stands; `problems` says what is wrong with one that is not valid, and never ticks."""

    id: int
    name: str
    description: str
    task_ids: list[int]
    target_id: int | None
    walk: str
    stop_on_fail: bool
    can_run_before_each_task: str
    can_run_before_aim: str
    enabled: bool
    crontab: Any
    timezone: str
    next_mission_id: int | None
    repeat: bool
    account: str
    mode: str
    overlap: str
    missed_runs: str
    max_lateness_seconds: float
    expires_after_seconds: float | None
    updated_at: datetime
    problems: list[Problem]
    progress: Progress | None


class RestartedMission(MissionAnswer):
    """The Mission with its fresh walk."""

    orders_left: Annotated[
        list[str],
        Field(description="Orders of the ended walk that may still rest, each with the reason"),
    ]


class TaskAnswer(BaseModel):
    """The row as it stands; `problems` says what is wrong with one that is not valid."""

    id: int
    name: str
    template: str
    params: Any
    can_run: str
    period: str | None
    retries: int
    retry_delay_seconds: float
    timeout_seconds: float | None
    cache_seconds: float | None
    updated_at: datetime
    problems: list[Problem]


class MissionaryAnswer(BaseModel):
    """One walk. Queue, target, mode and account are its own copies, taken when it opened."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    mission_id: int
    task_ids: list[int]
    target_id: int | None
    mode: str
    account: str
    period: Annotated[str, Field(description="Its period word")]
    next_index: int
    started_at: datetime
    hold_rule: str | None
    hold_reason: str | None


class MissionName(BaseModel):
    id: int
    name: str


class AvailablePair(BaseModel):
    """An enabled Mission and its open Missionary."""

    mission: MissionName
    missionary: MissionaryAnswer


class Done(BaseModel):
    """What was done, in words."""

    status: Annotated[str, Field(examples=["success"])] = "success"
    message: str


class StartedRun(Done):
    """A run in Prefect that the worker is about to execute."""

    mission: str
    flow_run_id: str
    flow_run_url: str
