"""Components (what the old protocol calls modules): who they are, what they are told, and how that ended."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NewType
from uuid import UUID

ComponentId = NewType("ComponentId", int)
ExecutionId = NewType("ExecutionId", UUID)

# How long a component may work on one command, and how long it may be silent before it counts as offline.
EXECUTION_SECONDS = 120.0
SILENCE_SECONDS = 120.0


class CommandStatus(StrEnum):
    """Where a command stands. Only the hub moves it, and it never leaves one of the last five."""

    WAITING = "waiting"  # a row, certainly not sent; the hub that claims it makes it sent
    SENT = "sent"  # claimed for a connection, so it may have reached the component
    SUCCEEDED = "succeeded"  # the component reported success, or a plain message was handed over
    FAILED = "failed"  # the component reported a failure
    TIMEOUT = "timeout"  # no report within its time, on a connection that was there all along
    UNKNOWN = "unknown"  # it may have been sent, and what became of it can't be known
    OFFLINE = "offline"  # certainly not sent: its component did not come in time

    @property
    def final(self) -> bool:
        return self not in (CommandStatus.WAITING, CommandStatus.SENT)

    @property
    def in_doubt(self) -> bool:
        """Whether the work may have been done though no report says so."""
        return self in (CommandStatus.TIMEOUT, CommandStatus.UNKNOWN)


class CommandKind(StrEnum):
    EXECUTE = "execute"  # asks for a report
    MESSAGE = "message"  # handed over as it is; nothing is reported


@dataclass(frozen=True)
class Component:
    """A registered module. `hash` is what it connects with."""

    id: ComponentId
    hash: str
    name: str
    description: str
    input_data: Any
    output_data: Any


@dataclass(frozen=True)
class Presence:
    """A component and whether it is connected now; the instants are aware, None where it never happened."""

    component_id: ComponentId
    hash: str
    name: str
    description: str
    priority: int
    session_id: UUID | None
    last_execution_at: datetime | None
    last_seen_at: datetime | None
    last_login_at: datetime | None

    @property
    def online(self) -> bool:
        return self.session_id is not None


@dataclass(frozen=True)
class Outcome:
    """How a command stands. `outputs` are the rows that the component reported, or None."""

    execution_id: ExecutionId
    status: CommandStatus
    error: str = ""
    message: str = ""
    outputs: Any = None


@dataclass(frozen=True)
class Work:
    """What a component is asked to do. `place` is where in which walk: one open command per place.

    `wait_seconds`: how long it may lie unsent while the component is offline. `repeatable` work may be done
    twice, so it is asked for again where it is in doubt.
    """

    args: Any
    execution_time: datetime
    workflow_id: str = ""
    workflow_name: str = ""
    timeout_seconds: float = EXECUTION_SECONDS
    wait_seconds: float = EXECUTION_SECONDS
    place: str | None = None
    repeatable: bool = False


def component_hash(name: str, description: str, model_hash: str) -> str:
    """What a module connects with: the sha256 of the three texts one after the other, in hex.

    Clients of the old protocol work it out themselves when they register again, so it can't be anything else.
    """
    return hashlib.sha256(f"{name}{description}{model_hash}".encode()).hexdigest()


_FAILURES = frozenset({"failed", "error", "fail"})


def status_of_report(word: object) -> CommandStatus:
    """The outcome that a report's `status` states; every word but failed, error and fail means success."""
    failed = isinstance(word, str) and word.strip().lower() in _FAILURES
    return CommandStatus.FAILED if failed else CommandStatus.SUCCEEDED


def execute_frame(execution_id: UUID, execution_time: datetime, command: Mapping[str, Any]) -> dict[str, Any]:
    """The message that asks a component to work. `command` holds workflow_id, workflow_name and args."""
    return {
        "type": "execute",
        "meta": {
            "execution_id": str(execution_id),
            "execution_time": execution_time.isoformat(),
            "workflow_id": command["workflow_id"],
            "workflow_name": command["workflow_name"],
        },
        "args": command["args"],
    }
