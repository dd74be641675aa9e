"""Commands as rows: given, waited for, looked up. Whoever holds the component's socket sends them."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import closing
from typing import Any, cast
from uuid import UUID, uuid4

from sqlalchemy import Connection, Engine, Float, Row, bindparam, func, insert, select, update

from missiondesk.components.texts import check_storable_json, storable, to_json
from missiondesk.store.database import transaction
from missiondesk.store.listen import Connected, Payload, listen
from models.component import CommandKind, CommandStatus, ExecutionId, Outcome, Work
from models.component_tables import component_command
from models.errors import InputRefused

OUTCOMES = "missiondesk_outcome"
LARGEST_ARGS = 1_000_000
LONGEST_SECONDS = 7 * 24 * 3600.0
MESSAGE_WAITS_SECONDS = 10.0

# A notification may be lost with the connection that brings it; a look at the row can't be.
_LOOK_AGAIN_SECONDS = 1.0

# The row's other columns come with each execution; the deadline is by the clock of the database.
_GIVE = insert(component_command).values(
    send_by=func.now() + func.make_interval(0, 0, 0, 0, 0, 0, bindparam("wait_seconds", type_=Float))
)

_OUTCOME = tuple(component_command.c[name] for name in ("id", "status", "error", "message", "outputs"))


class Commands:
    """`url` is where outcomes are listened for."""

    def __init__(self, engine: Engine, url: str) -> None:
        self._engine, self._url = engine, url

    def give(self, component_id: int, work: Work) -> ExecutionId:
        """Write the command; its component gets it as soon as it is connected and free.

        Raises InputRefused for args that are too large or no JSON, and for times outside of a week.
        """
        return self.give_all([(component_id, work)])[0]

    def give_all(self, given: list[tuple[int, Work]]) -> list[ExecutionId]:
        """Several at once, in one statement; see `give`."""
        rows = [_row(component_id, work) for component_id, work in given]
        with self._engine.connect() as connection:
            connection.execute(_GIVE, rows)
        return [row["id"] for row in rows]

    def give_once(self, component_id: int, work: Work) -> ExecutionId:
        """The newest command of `work.place` where it must not be given again, else a new one.

        It must not while it is open, when it has succeeded, and when it is in doubt, unless it is repeatable.
        """
        with transaction(self._engine) as connection:
            connection.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"place {work.place}"))))
            newest = _newest_at(connection, work.place)
            if newest is not None and not _may_be_given_again(newest.status, work):
                return newest.execution_id
            row = _row(component_id, work)
            connection.execute(_GIVE, row)
            return ExecutionId(row["id"])

    def send_message(self, component_id: int, message: Any) -> None:
        """Hand a text, or a value as JSON, over to the component as it is.

        Raises InputRefused for what is too large, no JSON, or no text that can go over a websocket.
        """
        check_storable_json("message", message)
        values = {
            "id": uuid4(),
            "component_id": component_id,
            "kind": CommandKind.MESSAGE,
            "args": _args(message),
            "wait_seconds": MESSAGE_WAITS_SECONDS,
        }
        with self._engine.connect() as connection:
            connection.execute(_GIVE, values)

    def withdraw(self, execution_id: UUID, error: str) -> bool:
        """End a command that was not sent yet, as `offline`; False when it is too late for that."""
        unsent = (component_command.c.id == execution_id) & (component_command.c.status == "waiting")
        values = {"status": CommandStatus.OFFLINE, "finished_at": func.now(), "error": error}
        with self._engine.connect() as connection:
            return bool(connection.execute(update(component_command).where(unsent).values(values)).rowcount)

    def outcome(self, execution_id: UUID) -> Outcome:
        """How it stands now. Raises InputRefused for an id that does not exist."""
        query = select(*_OUTCOME).where(component_command.c.id == execution_id)
        with self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise InputRefused(f"expected the id of a command of the last days, got {execution_id}")
        return _outcome(row)

    def wait(self, execution_id: UUID, seconds: float) -> Outcome:
        """The outcome as soon as it is final; after so many seconds, how it stands."""
        deadline = time.monotonic() + seconds
        look_again = time.monotonic()

        def patience() -> float:
            return max(0.0, min(_LOOK_AGAIN_SECONDS, deadline - time.monotonic()))

        # Closed, and with it its connection, when the outcome is there.
        news = cast(
            Generator[Connected | Payload | None, None, None],
            listen(self._url, OUTCOMES, patience=patience, stop=threading.Event()),
        )
        with closing(news):
            for heard in news:
                now = time.monotonic()
                if isinstance(heard, Payload) and heard.text != str(execution_id) and now < look_again:
                    continue
                outcome = self.outcome(execution_id)
                if outcome.status.final or now >= deadline:
                    return outcome
                look_again = min(now + _LOOK_AGAIN_SECONDS, deadline)
        return self.outcome(execution_id)


def mark_written(connection: Connection, execution_id: UUID) -> bool:
    """Whether the outputs of this command were not written back before; they are as of now."""
    columns = component_command.c
    unwritten = (columns.id == execution_id) & columns.outputs_written_at.is_(None)
    marked = update(component_command).where(unwritten).values(outputs_written_at=func.now())
    return bool(connection.execute(marked).rowcount)


def _newest_at(connection: Connection, place: str | None) -> Outcome | None:
    columns = component_command.c
    newest = select(*_OUTCOME).where(columns.place == place).order_by(columns.sequence.desc()).limit(1)
    row = connection.execute(newest).one_or_none()
    return None if row is None else _outcome(row)


def _may_be_given_again(status: CommandStatus, work: Work) -> bool:
    if not status.final or status is CommandStatus.SUCCEEDED:
        return False
    return work.repeatable or not status.in_doubt


def _row(component_id: int, work: Work) -> dict[str, Any]:
    for name, seconds in (("timeout_seconds", work.timeout_seconds), ("wait_seconds", work.wait_seconds)):
        if not 0 < seconds <= LONGEST_SECONDS:
            raise InputRefused(f"{name}: expected more than 0 and at most a week, got {seconds}")
    return {
        "id": uuid4(),
        "component_id": component_id,
        "args": _args(work.args),
        "execution_time": work.execution_time,
        "workflow_id": storable(work.workflow_id),
        "workflow_name": storable(work.workflow_name),
        "place": work.place,
        "timeout_seconds": work.timeout_seconds,
        "wait_seconds": work.wait_seconds,
    }


def _args(args: Any) -> Any:
    text = to_json(args)
    if len(text) > LARGEST_ARGS:
        raise InputRefused(f"expected at most {LARGEST_ARGS} characters of JSON, got {len(text)}")
    return args


def _outcome(row: Row[Any]) -> Outcome:
    return Outcome(ExecutionId(row.id), CommandStatus(row.status), row.error, row.message, row.outputs)
