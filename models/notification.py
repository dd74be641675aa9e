"""What people are told of, as it is kept until every channel of its account has taken it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict

from models.validation import value_from_row


class NotificationKind(StrEnum):
    """All but TICK_FAILED are written by the database itself, in the transaction that makes them true."""

    TASK_PASSED = "task passed"
    MISSIONARY_FINISHED = "missionary finished"
    MISSIONARY_EXPIRED = "missionary expired"
    ORDER_FILLED = "order filled"
    ORDER_CANCELLED = "order cancelled"  # after part of it had filled
    ORDER_DENIED = "order denied"
    ORDER_REJECTED = "order rejected"
    TASK_BROKE = "task broke"
    TICK_FAILED = "tick failed"  # it could not walk: the Mission's rows are not valid, say
    COMMAND_FAILED = "command failed"
    COMMAND_TIMEOUT = "command timeout"
    COMMAND_UNKNOWN = "command unknown"
    COMMAND_OFFLINE = "command offline"
    MESSAGE_INVALID = "message invalid"  # of a component

    @property
    def is_good(self) -> bool:
        return self in _GOOD


_GOOD = frozenset(
    {NotificationKind.TASK_PASSED, NotificationKind.MISSIONARY_FINISHED, NotificationKind.ORDER_FILLED}
)


class Notification(BaseModel):
    """One row of `notification`. `account` None: it concerns the desk as a whole."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: int
    kind: NotificationKind
    account: str | None = None
    subject: str
    body: str = ""
    created_at: datetime

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Notification:
        return value_from_row(cls, "notification", row)
