"""The beginning of every call: check everything, write down what is ahead, claim what is due."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from missiondesk.store.timed_desk import desk_attends
from missiondesk.store.timed_tasks import TimedTasks
from missiondesk.timed.claimed import Claimed
from missiondesk.timed.connection import engine_of_environment, table_of_this_version
from missiondesk.timed.instants import Place, expiry, place, whole_second
from missiondesk.timed.items import Group, Keying, read_groups
from missiondesk.timed.outcome import TimedOutcome
from missiondesk.timed.settings import TimedSettings
from models.errors import InputRefused
from models.timed import NewItem, TimedNames

log = logging.getLogger(__name__)

_NOT_IMPORTABLE = (
    "no desk can import this function, as it belongs to a script or to another function: they stay pending "
    "until it is called again at their time"
)
_NO_DESK = (
    "no desk runs on this database: they stay pending until one is started, or until the function is called "
    "again at their time"
)
_DESK = "the desk runs them at their time"


@dataclass(frozen=True)
class TimedCall:
    """One call of a timed task; `args` and `kwargs` are what came besides the items."""

    names: TimedNames
    unique: tuple[str, ...]
    repeatable: bool
    executed_data: object
    args: Sequence[Any]
    kwargs: Mapping[str, Any]


def begin(call: TimedCall, now: datetime) -> tuple[Claimed, TimedOutcome]:
    """What this call is to run, and what became of everything else.

    Raises InputRefused for what can't be read, or can't be kept until its time; nothing is written then.
    """
    settings = TimedSettings.load()
    groups: dict[Place, list[Group]] = {each: [] for each in Place}
    for group in read_groups(call.executed_data, Keying(call.names.task, call.names.flag, call.unique)):
        groups[place(group.instant, now, settings.window)].append(group)
    ahead, due = groups[Place.AHEAD], groups[Place.DUE]
    waiting = [item for group in ahead for item in _new_items(call, group, settings, keep=True)]
    beginning = [item for group in due for item in _new_items(call, group, settings, keep=False)]

    engine, holder = engine_of_environment(), uuid4().hex
    store = TimedTasks(engine)
    keys: set[str] = set()
    waits = ""
    with table_of_this_version():
        store.sweep(whole_second(now), settings.attempts)
        if waiting:
            store.add_pending(call.names, waiting)
            waits = (
                _NOT_IMPORTABLE
                if call.names.entrypoint is None
                else _DESK
                if desk_attends(engine)
                else _NO_DESK
            )
        if beginning:
            keys = store.claim(
                call.names,
                beginning,
                holder,
                lease_seconds=settings.lease_seconds,
                most_attempts=settings.attempts,
                repeatable=call.repeatable,
            )
    outcome = TimedOutcome(
        skipped=len(beginning) - len(keys),
        pending=len(waiting),
        outside=sum(len(group.items) for group in groups[Place.OUTSIDE]),
        waits=waits,
    )
    if waits in (_NOT_IMPORTABLE, _NO_DESK):
        log.warning("timed task %r: %d item(s) are pending; %s", call.names.task, len(waiting), waits)
    mine = [own for group in due if (own := group.only(keys)).items]
    return Claimed(store, holder, mine, now, settings), outcome


def _new_items(call: TimedCall, group: Group, settings: TimedSettings, *, keep: bool) -> list[NewItem]:
    """`keep`: another process has to run them, so what can't be written down is refused."""
    batch = uuid4()
    # A datetime comes back as an aware one, from the row's own column.
    timestamp = None if isinstance(group.timestamp, datetime) else group.timestamp
    arguments = {"timestamp": timestamp, "args": list(call.args), "kwargs": dict(call.kwargs)}
    written_call = _written(arguments, "the arguments after executed_data", call, keep=keep)
    return [
        NewItem(
            key=key,
            executed_time=group.instant,
            expires_at=expiry(group.instant, settings.window),
            batch=batch,
            item=_written(
                dict(item), f"executed_data[{group.timestamp!r}], item {item!r:.80}", call, keep=keep
            ),
            call=written_call,
        )
        for key, item in group.items.items()
    ]


def _written(value: object, what: str, call: TimedCall, *, keep: bool) -> str | None:
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        if not keep:
            return None
        raise InputRefused(
            f"timed task {call.names.task!r}: nothing was run or claimed. {what}: expected plain JSON "
            f"values, because a later process has to run what is ahead, got {error}"
        ) from None
