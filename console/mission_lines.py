"""Missions as people look at them: how far they are, what they wait for, when they tick next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.table import Table
from rich.text import Text
from sqlalchemy import Engine

from deployments.missions import mission_spec
from missiondesk.store.overview import MissionOverview, mission_overview
from missiondesk.store.scheduled import ScheduledMission, scheduled_missions
from models.timer import next_firing


@dataclass(frozen=True)
class MissionLine:
    """`step` is `2/5 name`, counted from 1; `said` is what it waits for or, when it is over, how it went.

    `next_tick` is None for a Mission that is off; `problem` says what is wrong with a row that is not valid.
    """

    id: int
    name: str
    enabled: bool
    mode: str
    step: str
    said: str
    next_tick: datetime | None
    problem: str | None = None


def mission_lines(engine: Engine, now: datetime) -> list[MissionLine]:
    """Every Mission by its id. Raises DatabaseUnreachable."""
    valid, invalid = scheduled_missions(engine)
    scheduled = {found.mission.id: found for found in valid}
    lines = [
        _line(seen, scheduled.get(seen.id), str(invalid[seen.id]) if seen.id in invalid else None, now)
        for seen in mission_overview(engine)
    ]
    return sorted(lines, key=lambda line: line.id)


def mission_table(lines: Sequence[MissionLine], now: datetime) -> Table:
    table = Table(expand=True)
    for column in ("Mission", "mode", "step"):
        table.add_column(column, overflow="fold")
    table.add_column("waits for", ratio=1)
    table.add_column("next tick", justify="right", no_wrap=True)
    for line in lines:
        said = Text(line.said) if line.problem is None else Text(line.problem, "red")
        ticks = "off" if line.next_tick is None else _countdown(line.next_tick, now)
        name, step = Text(line.name), Text(line.step)  # rich takes brackets in plain strings for markup
        table.add_row(name, line.mode, step, said, ticks, style="" if line.enabled else "dim")
    return table


def _line(
    seen: MissionOverview, scheduled: ScheduledMission | None, problem: str | None, now: datetime
) -> MissionLine:
    said = seen.hold_reason or ""
    if seen.missionary_id is None and seen.last_result is not None:
        said = f"{seen.last_result.rule}: {seen.last_result.msg}"
    return MissionLine(
        id=seen.id,
        name=seen.name,
        enabled=seen.enabled,
        mode=seen.mode,
        step=seen.progress if scheduled is None else _step(seen, scheduled),
        said="ticking now" if seen.running else said,
        next_tick=None if scheduled is None else _next_tick(scheduled, now),
        problem=problem,
    )


def _next_tick(found: ScheduledMission, now: datetime) -> datetime | None:
    schedules = mission_spec(found.mission, found.missionary, found.tasks).schedules
    crons = [schedule.cron for schedule in schedules if schedule.active]
    return next_firing(crons, now, found.mission.timezone) if crons else None


def _step(seen: MissionOverview, found: ScheduledMission) -> str:
    walk = found.missionary or found.mission
    count = len(walk.task_ids)
    if found.missionary is None and not seen.enabled:
        return f"{count} steps"
    if seen.next_index < count:
        return f"{seen.next_index + 1}/{count} {found.tasks[walk.task_ids[seen.next_index]].name}"
    if walk.target_id is not None:
        return f"Target {found.tasks[walk.target_id].name}"
    return f"{count}/{count}"


def _countdown(next_tick: datetime, now: datetime) -> str:
    seconds = max(0, int((next_tick - now).total_seconds()))
    if seconds < 3600:
        return f"{seconds // 60}:{seconds % 60:02}"
    return f"{next_tick:%m-%d %H:%M} UTC"
