"""A Prefect flow of the user's own that the desk deploys and schedules, as its row states it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from models.mission import Crontab, Name, Timezone
from models.validation import value_from_row


class ScheduledFlow(BaseModel):
    """entrypoint: `package.module.flow_function`, or `/folder/file.py:flow_function` on the desk's machine.

    Without a crontab it only runs when it is asked to. A run that lasts longer than `timeout_seconds`, by
    default the worker's own limit, is killed.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: Name
    description: str = ""
    entrypoint: str = Field(min_length=1)
    parameters: dict[str, Any] = Field(default_factory=dict)
    crontab: Crontab = ()
    timezone: Timezone = "UTC"
    queue: Name = "default"
    enabled: bool = True
    timeout_seconds: float | None = Field(default=None, gt=0)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> ScheduledFlow:
        present = {name: value for name, value in row.items() if value is not None}
        return value_from_row(cls, "scheduled_flow", present)
