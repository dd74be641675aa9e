"""What of a tick is worth telling people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256

from missiondesk.notifications import Event, EventKind
from missiondesk.templates.registry import find
from models.mission import Mission, MissionTask, TaskId
from models.missionary import Missionary
from models.result import RULE_ERROR, Result


def events_of(
    mission: Mission,
    missionary: Missionary,
    tasks: Mapping[TaskId, MissionTask],
    results: Iterable[Result],
    *,
    finished: bool,
) -> Iterator[Event]:
    """Passes, trades, errors and the end of a walk. An error is told once a Missionary, not at every tick."""
    by_name = {task.name: task for task in tasks.values()}

    def event(kind: EventKind, message: str, key: str) -> Event:
        return Event(kind, missionary.account, mission.name, message, f"missionary {missionary.id}: {key}")

    for result in results:
        place = "target" if result.task_index is None else f"task {result.task_index}"
        said = f"{result.task_name}: {result}"
        if result.passed:
            trades = find(by_name[result.task_name].template).effect == "order"
            kind = EventKind.TRADE_DONE if trades else EventKind.TASK_PASSED
            yield event(kind, said, f"{place} passed")
        elif result.rule == RULE_ERROR:
            yield event(
                EventKind.ERROR, said, f"{place} error {sha256(result.msg.encode()).hexdigest()[:16]}"
            )
    if finished:
        yield event(EventKind.MISSIONARY_FINISHED, f"Missionary {missionary.id} finished", "finished")
