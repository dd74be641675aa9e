"""What a template says (Verdict), and the same with who and when (Result)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

Role = Literal["task", "target"]


class ResultType(StrEnum):
    """Where an answer came from. Only NORMAL is recorded in the ResultLog."""

    CANTRUN = "CANTRUN"  # a guard or a precondition said no; the template was not asked
    DEFAULT = "DEFAULT"  # nothing had to be asked
    NORMAL = "NORMAL"  # a template was tried


# Rules that the desk itself gives; templates bring their own names.
RULE_ERROR = "ERROR"  # an exception was left after the Task's retries
RULE_DATA_STALE = "DATA_STALE"


@dataclass(frozen=True)
class Verdict:
    """A template's answer: passed or not, the rule that decided, and its message in two parts.

    `msg_format` uses str.format fields; `msg_args` holds plain JSON values for them.
    """

    passed: bool
    rule: str
    msg_format: str = ""
    msg_args: Mapping[str, Any] = field(default_factory=dict)

    @property
    def msg(self) -> str:
        return self.msg_format.format(**self.msg_args) if self.msg_args else self.msg_format

    def __bool__(self) -> bool:
        return self.passed


@dataclass(frozen=True)
class Result:
    """A verdict with who said it and when. True iff passed; its text is rule and message, prefixed."""

    passed: bool
    rule: str
    msg: str
    task_id: int | None
    task_name: str
    role: Role
    task_index: int | None
    logged_at: datetime
    type: ResultType = ResultType.NORMAL

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        return f"{'PASS' if self.passed else 'FAIL'}: {self.rule} {self.msg}".rstrip()
