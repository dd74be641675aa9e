"""Missions as people look at them: how far they are, what they wait for, when they tick next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.table import Table
from rich.text import Text
from sqlalchemy import Engine

from deployments.missions import mission_spec
from missiondesk.store.scheduled import ScheduledMission, scheduled_missions
from models.mission import MissionTask, TaskId
from models.missionary import Missionary
from models.timer import next_firing


@dataclass(frozen=True)
class MissionLine:
    """`step` is `2/5 name`, counted from 1; `problem` says what is wrong with a row that is not valid."""

    id: int
    name: str
    enabled: bool
    mode: str
    step: str
    waiting: str
    next_tick: datetime | None
    problem: str | None = None


def mission_lines(engine: Engine, now: datetime) -> list[MissionLine]:
    """Every Mission by its id. Raises DatabaseUnreachable."""
    valid, invalid = scheduled_missions(engine)
    lines = [_line(found, now) for found in valid]
    lines += [
        MissionLine(mission_id, str(error.row), False, "", "", "", None, str(error))
        for mission_id, error in invalid.items()
    ]
    return sorted(lines, key=lambda line: line.id)


def mission_table(lines: Sequence[MissionLine], now: datetime) -> Table:
    table = Table("Mission", "mode", "step", "waits for", "next tick", expand=True)
    for line in lines:
        if line.problem is not None:
            table.add_row(line.name, "", "", Text(line.problem, "red"), "")
            continue
        style = "" if line.enabled else "dim"
        ticks = "off" if line.next_tick is None else _countdown(line.next_tick, now)
        table.add_row(line.name, line.mode, line.step, line.waiting, ticks, style=style)
    return table


def _line(found: ScheduledMission, now: datetime) -> MissionLine:
    mission, missionary = found.mission, found.missionary
    schedules = mission_spec(mission, missionary, found.tasks).schedules
    crons = [schedule.cron for schedule in schedules if schedule.active]
    return MissionLine(
        id=mission.id,
        name=mission.name,
        enabled=mission.enabled,
        mode=missionary.mode if missionary is not None else mission.mode,
        step="" if missionary is None else _step(missionary, found.tasks),
        waiting="" if missionary is None else missionary.hold_reason or "",
        next_tick=next_firing(crons, now, mission.timezone) if crons else None,
    )


def _step(missionary: Missionary, tasks: Mapping[TaskId, MissionTask]) -> str:
    number, count = missionary.next_index + 1, len(missionary.task_ids)
    if number <= count:
        return f"{number}/{count} {tasks[missionary.task_ids[number - 1]].name}"
    target = missionary.target_id
    return f"{count}/{count} Target {tasks[target].name}" if target is not None else f"{count}/{count}"


def _countdown(next_tick: datetime, now: datetime) -> str:
    seconds = max(0, int((next_tick - now).total_seconds()))
    if seconds < 3600:
        return f"{seconds // 60}:{seconds % 60:02}"
    return f"{next_tick:%Y-%m-%d %H:%M} UTC"
