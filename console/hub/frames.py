"""The JSON that goes over a component's websocket, in both directions."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from missiondesk.components.switchboard import Claimed, Report
from missiondesk.components.texts import parse_json, storable, to_json
from models.component import CommandKind, execute_frame, status_of_report
from models.errors import InputRefused

# What a module of the old protocol is told when its result has been taken.
RECEIVED = "receive result"

LONGEST_REPORT_TEXT = 10_000


class Ping:
    """The module asks whether we are there."""


class Silence:
    """Nothing that asks for an answer."""


def read_frame(text: str, connection_id: UUID) -> Report | Ping | Silence:
    """What a module said. Raises InputRefused with what was expected instead."""
    frame = parse_json(text)
    if not isinstance(frame, dict):
        raise InputRefused(f"expected a JSON object, got {text[:80]!r}")
    match frame.get("type"):
        case "ping":
            return Ping()
        case "pong":
            return Silence()
        case "result":
            return _report(frame, connection_id)
        case other:
            raise InputRefused(f"type: expected result or ping, got {str(other)[:80]!r}")


def _report(frame: dict[str, Any], connection_id: UUID) -> Report:
    if not isinstance(frame.get("status"), str):
        raise InputRefused(f"status: expected success or failed, got {str(frame.get('status'))[:80]!r}")
    outputs = frame.get("outputs")
    return Report(
        connection_id=connection_id,
        execution_id=_execution_id(frame.get("execution_id")),
        workflow_id=_text(frame.get("workflow_id")),
        status=status_of_report(frame["status"]),
        error=_text(frame.get("error")),
        message=_text(frame.get("message")),
        outputs=None if outputs is None else to_json(outputs),
    )


def _execution_id(given: object) -> UUID | None:
    if given is None or given == "":
        return None
    try:
        return UUID(str(given))
    except ValueError:
        raise InputRefused(
            f"execution_id: expected the one of the command, got {str(given)[:80]!r}"
        ) from None


def _text(value: object) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value)
    return storable(text[:LONGEST_REPORT_TEXT])


def command_frame(command: Claimed) -> str:
    """The text that is sent for a command."""
    args = None if command.args is None else json.loads(command.args)
    if command.kind == CommandKind.MESSAGE:
        return args if isinstance(args, str) else json.dumps(args)
    told = {"workflow_id": command.workflow_id, "workflow_name": command.workflow_name, "args": args}
    return json.dumps(execute_frame(command.execution_id, command.execution_time, told))


def receipt_frame(report: Report, *, with_id: bool) -> str:
    """What answers a result; a program that works on several commands is told which one it was."""
    if not with_id or report.execution_id is None:
        return RECEIVED
    told = {"type": "receipt", "message": RECEIVED, "execution_id": str(report.execution_id)}
    return json.dumps(told)


def pong_frame() -> str:
    return json.dumps({"type": "pong"})


def error_frame(error: InputRefused) -> str:
    return json.dumps({"type": "error", "message": str(error)})
