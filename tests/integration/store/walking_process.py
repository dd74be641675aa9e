"""A process that walks a Mission over and over until it is killed: `walking_process.py URL MISSION`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from itertools import count

from missiondesk.store.beginning import TickStart
from missiondesk.store.database import connect
from missiondesk.store.walks import Walks
from models.result import Result


def walk_for_ever(url: str, mission: str) -> None:
    walks = Walks(connect(url))
    for number in count():
        holder = f"run-{number}"
        start = walks.begin(mission, holder, 60)
        walked = start.missionary
        assert walked is not None
        for index in range(walked.next_index, len(walked.task_ids)):
            walks.record(walked.id, holder, _passed(start, index), expected_index=index, advance=True)
        walks.finish(walked.id, holder, "passed", _passed(start, None))


def _passed(start: TickStart, index: int | None) -> Result:
    walked = start.missionary
    assert walked is not None
    assert walked.target_id is not None
    task = start.tasks[walked.target_id if index is None else walked.task_ids[index]]
    role = "target" if index is None else "task"
    return Result(True, "RULE", "", task.id, task.name, role, index, datetime.now(UTC))


if __name__ == "__main__":
    walk_for_ever(sys.argv[1], sys.argv[2])
