"""A Missionary: one walk along a Mission's list, over as many ticks as it takes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NewType

from pydantic import BaseModel, ConfigDict, Field

from models.account import Mode
from models.mission import MissionId, PeriodWord, TaskId
from models.validation import value_from_row

MissionaryId = NewType("MissionaryId", int)


class Missionary(BaseModel):
    """Queue, target, mode and account are its own copies, taken when it opened.

    `next_index` is the first Task not yet passed; `len(task_ids)` means that only the Target is left.
    `holder` is the flow run whose tick holds the lease, until `lease_expires_at`.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", arbitrary_types_allowed=True)

    id: MissionaryId
    mission_id: MissionId
    task_ids: tuple[TaskId, ...] = ()
    target_id: TaskId | None = None
    mode: Mode = "paper"
    account: str
    period: PeriodWord
    next_index: int = Field(ge=0)
    started_at: datetime
    ended_at: datetime | None = None
    result: str | None = None
    holder: str | None = None
    lease_expires_at: datetime | None = None
    hold_rule: str | None = None
    hold_reason: str | None = None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Missionary:
        return value_from_row(cls, "missionary", row)

    @property
    def progress(self) -> str:
        return f"{self.next_index}/{len(self.task_ids)}"
