"""The ResultLog, read in pages. It is written by `walks` alone, and never changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, Row, func, select

from missiondesk.store.missions import find_mission_row
from models.mission import MissionId
from models.missionary import MissionaryId
from models.result import Result
from models.tables import result_log


@dataclass(frozen=True)
class LoggedResult:
    """A row of the log: the Result, and where it stands."""

    id: int
    mission_id: MissionId
    missionary_id: MissionaryId
    flow_run_id: str | None
    result: Result


class Results:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def page(
        self, mission: str | int | None, size: int = 100, *, before: int | None = None
    ) -> Sequence[LoggedResult]:
        """The newest rows of a Mission, or of all, newest first; `before` (an id) goes on where a page ended.

        A deleted Mission's rows are still found by its id. Raises UnknownName for a name that does not exist.
        """
        with self._engine.connect() as connection:
            mission_id = find_mission_row(connection, mission)["id"] if isinstance(mission, str) else mission
            rows = select(result_log)
            if mission_id is not None:
                rows = rows.where(result_log.c.mission_id == mission_id)
            if before is not None:
                rows = rows.where(result_log.c.id < before)
            newest = rows.order_by(result_log.c.id.desc()).limit(size)
            return [_logged(row) for row in connection.execute(newest)]

    def count(self, mission: str | int) -> int:
        with self._engine.connect() as connection:
            mission_id = find_mission_row(connection, mission)["id"] if isinstance(mission, str) else mission
            rows = select(func.count()).where(result_log.c.mission_id == mission_id)
            return connection.execute(rows).scalar_one()


def _logged(row: Row[Any]) -> LoggedResult:
    return LoggedResult(
        id=row.id,
        mission_id=row.mission_id,
        missionary_id=row.missionary_id,
        flow_run_id=row.flow_run_id,
        result=Result(
            passed=row.passed,
            rule=row.rule,
            msg=row.msg,
            task_id=row.task_id,
            task_name=row.task_name,
            role=row.role,
            task_index=row.task_index,
            logged_at=row.logged_at,
        ),
    )
