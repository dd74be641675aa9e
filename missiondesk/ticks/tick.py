"""One tick of one Mission: may it run, take the lease, walk, and leave everything written."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from missiondesk.desk import Desk
from missiondesk.engine import walk as engine
from missiondesk.engine.drive import drive
from missiondesk.engine.due import Tick
from missiondesk.engine.lateness import reason_to_skip
from missiondesk.engine.walk import Finish, Hold, Step
from missiondesk.store.beginning import TickStart
from missiondesk.templates.context import Context
from missiondesk.ticks.ground import Attempting, LiveGround, StepBroke
from missiondesk.ticks.lease import LEASE_SECONDS, LeaseKeeper
from missiondesk.ticks.outcome import Ending, TickOutcome
from models.errors import LeaseLost, MissiondeskError, MissionDisabled
from models.mission import Mission
from models.missionary import Missionary

# How often a queued tick looks whether the running one has ended.
QUEUE_POLL_SECONDS = 0.5


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Run:
    """What a tick knows of the run it is: its flow run id holds the lease; `scheduled_at` is aware."""

    flow_run_id: str
    scheduled_at: datetime
    ad_hoc: bool


def run_tick(
    desk: Desk,
    mission: str | int,
    run: Run,
    attempting: Attempting,
    *,
    started: Callable[[TickStart], None] = lambda start: None,
    clock: Callable[[], datetime] = utc_now,
    lease_seconds: float = LEASE_SECONDS,
) -> TickOutcome:
    """Walk one tick. `started` is told what was read once the lease is held; while the tick lives, its lease
    is renewed, and `lease_seconds` after its death another tick may take the Missionary over.

    Raises UnknownName for a Mission that does not exist and InvalidRow for rows that are not valid;
    everything else that can go wrong inside is an outcome.
    """
    try:
        start = _take_lease(desk, mission, run, clock, lease_seconds)
        if isinstance(start, TickOutcome):
            return start
        assert start.missionary is not None
        with LeaseKeeper(desk.walks, start.missionary.id, run.flow_run_id, lease_seconds):
            return _under_lease(desk, start, start.missionary, run, attempting, started, clock)
    except MissionDisabled as disabled:
        return TickOutcome("Disabled", str(disabled), disabled.name, disabled.mission_id)
    except BaseException as error:
        # Whatever a cancelled run carries is no reason for people to read.
        said = f": {str(error) or type(error).__name__}" if isinstance(error, Exception) else ""
        with suppress(MissiondeskError):
            desk.walks.break_off(run.flow_run_id, f"the tick broke off{said}")
        raise


def _under_lease(
    desk: Desk,
    start: TickStart,
    missionary: Missionary,
    run: Run,
    attempting: Attempting,
    started: Callable[[TickStart], None],
    clock: Callable[[], datetime],
) -> TickOutcome:
    try:
        started(start)
        return _expired(desk, start, run, clock()) or _walk(desk, start, missionary, run, attempting, clock)
    except LeaseLost as error:
        return _outcome(start, "Skipped", f"lease lost: {error}", rule="LEASE_LOST")


def _take_lease(
    desk: Desk, mission: str | int, run: Run, clock: Callable[[], datetime], lease_seconds: float
) -> TickStart | TickOutcome:
    begun_at = clock()
    while True:
        start = desk.walks.begin(mission, run.flow_run_id, lease_seconds)
        if not start.mission.enabled:
            return _outcome(start, "Disabled", f"{start.mission.name} is disabled; nothing was changed")
        assert start.missionary is not None
        if reason := None if run.ad_hoc else _too_late(start, run, begun_at, clock()):
            if start.leased:
                _leave_as_it_was(desk, start.mission, start.missionary, run)
            return _outcome(start, "Skipped", f"late: {reason}", rule="LATE")
        if start.leased:
            return start
        patience = timedelta(seconds=start.mission.max_lateness_seconds)
        if start.mission.overlap == "skip" or clock() - begun_at > patience:
            holder = start.missionary.holder
            return _outcome(start, "Skipped", f"overlap: tick {holder} is still running", rule="OVERLAP")
        time.sleep(QUEUE_POLL_SECONDS)


def _leave_as_it_was(desk: Desk, mission: Mission, missionary: Missionary, run: Run) -> None:
    if mission.walk == "whole":  # its one tick is over
        desk.walks.end(missionary.id, "skipped", run.flow_run_id)
    else:
        desk.walks.release(missionary.id, run.flow_run_id, missionary.hold_rule, missionary.hold_reason)


def _too_late(start: TickStart, run: Run, begun_at: datetime, now: datetime) -> str | None:
    mission = start.mission
    assert start.missionary is not None
    return reason_to_skip(
        scheduled_at=run.scheduled_at,
        begun_at=begun_at,
        now=now,
        missed_runs=mission.missed_runs,
        max_lateness=timedelta(seconds=mission.max_lateness_seconds),
        cron_lines=mission.crontab or (start.missionary.period.cron,),
        timezone=mission.timezone,
    )


def _expired(desk: Desk, start: TickStart, run: Run, now: datetime) -> TickOutcome | None:
    mission, missionary = start.mission, start.missionary
    assert missionary is not None
    if mission.expires_after_seconds is None:
        return None
    if now - missionary.started_at <= timedelta(seconds=mission.expires_after_seconds):
        return None
    if open_orders := desk.gateway(run.flow_run_id).cancel_missionary(missionary.id):
        rule, reason = "EXPIRING", f"expired; waiting until {open_orders} order(s) have settled"
        desk.walks.release(missionary.id, run.flow_run_id, rule, reason)
        return _outcome(start, "Waiting", reason, rule=rule)
    desk.walks.end(missionary.id, "expired", run.flow_run_id)
    return _outcome(
        start, "Expired", f"not finished within {mission.expires_after_seconds:g} s", rule="EXPIRED"
    )


def _walk(
    desk: Desk,
    start: TickStart,
    missionary: Missionary,
    run: Run,
    attempting: Attempting,
    clock: Callable[[], datetime],
) -> TickOutcome:
    mission = start.mission
    now = clock()
    gateway = desk.gateway(run.flow_run_id)

    def context_of(step: Step) -> Context:
        return Context(
            mission_id=mission.id,
            mission=mission.name,
            missionary_id=missionary.id,
            task_id=step.task.id,
            task=step.task.name,
            role=step.role,
            task_index=step.index,
            account=missionary.account,
            mode=missionary.mode,
            exchange=desk.exchange_of(start.account),
            scheduled_at=run.scheduled_at,
            now=now,
            markets=desk.markets,
            conditions=desk.conditions,
            orders=gateway,
            memory=desk.members,
            components=desk.components,
        )

    ground = LiveGround(
        desk.walks,
        missionary,
        run.flow_run_id,
        whole=mission.walk == "whole",
        tasks_by_name={task.name: task for task in start.tasks.values()},
        context_of=context_of,
        attempting=attempting,
        clock=clock,
    )
    queue = tuple(start.tasks[task_id] for task_id in missionary.task_ids)
    target = start.tasks[missionary.target_id] if missionary.target_id is not None else None
    begun = engine.begin(
        mission,
        queue,
        target,
        next_index=missionary.next_index,
        period=missionary.period,
        tick=Tick(run.scheduled_at, run.ad_hoc, mission.crontab, mission.timezone),
    )
    return _drive(desk, start, run, begun, ground)


def _drive(desk: Desk, start: TickStart, run: Run, begun: engine.Walk, ground: LiveGround) -> TickOutcome:
    mission, missionary = start.mission, start.missionary
    assert missionary is not None
    try:
        walked, end = drive(begun, ground)
    except StepBroke as broken:
        return _outcome(start, "Failed", str(broken), rule="ERROR", ground=ground)
    match end:
        case Hold(_, answer):
            ground.hold(answer)
            return _outcome(start, "Waiting", answer.reason, rule=answer.rule, walked=walked, ground=ground)
        case Finish() if mission.walk == "whole":
            return _finish_whole(desk, start, run, walked, end, ground)
        case Finish():
            finished = desk.walks.finish(missionary.id, run.flow_run_id, "passed", ground.target_result)
            return _outcome(start, "Finished", finished.message, walked=walked, ground=ground)


def _finish_whole(
    desk: Desk, start: TickStart, run: Run, walked: engine.Walk, end: Finish, ground: LiveGround
) -> TickOutcome:
    assert start.missionary is not None
    result = f"{end.passed} of {end.steps} passed"
    desk.walks.finish_whole(start.missionary.id, run.flow_run_id, result)
    if ground.broken:
        message = f"{result}; broken: {'; '.join(map(str, ground.broken))}"
        return _outcome(start, "Failed", message, rule="ERROR", walked=walked, ground=ground)
    return _outcome(start, "Finished", result, walked=walked, ground=ground)


def _outcome(
    start: TickStart,
    ending: Ending,
    message: str,
    *,
    rule: str = "",
    walked: engine.Walk | None = None,
    ground: LiveGround | None = None,
) -> TickOutcome:
    missionary = start.missionary
    steps = len(missionary.task_ids if missionary else start.mission.task_ids)
    index = min(ground.index if ground else missionary.next_index if missionary else 0, steps)
    moved = missionary is not None and index != missionary.next_index
    return TickOutcome(
        ending=ending,
        message=message,
        mission=start.mission.name,
        mission_id=start.mission.id,
        missionary_id=missionary.id if missionary else None,
        next_index=index,
        steps=steps,
        period=str(walked.period if walked else missionary.period) if missionary else None,
        mode=missionary.mode if missionary else start.mission.mode,
        rule=rule,
        results=tuple(ground.results) if ground else (),
        changed=moved or ending != "Waiting" or missionary is None or rule != missionary.hold_rule,
    )
