"""The walk against an independent model: any queue, any answers, any crash point.

The model below is written the way the rule is told, as one loop with side effects; the engine is a
state machine.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from missiondesk.engine.due import Tick
from missiondesk.engine.walk import (
    YES,
    Answer,
    AskGuard,
    AskPrecondition,
    Attempt,
    Finish,
    Hold,
    Note,
    Step,
    TakePeriod,
    begin,
    next_move,
)
from models.mission import Mission, MissionTask, first_period
from models.timer import Period

NO = Answer(False, "NO")
CRONS = {
    "1min": lambda t: True,
    "5min": lambda t: t.minute % 5 == 0,
    "60min": lambda t: t.minute == 0,
    "4h": lambda t: t.minute == 0 and t.hour % 4 == 0,
    "1day": lambda t: t.minute == 0 and t.hour == 0,
}
LENGTHS = {"1min": 1, "5min": 5, "60min": 60, "4h": 240, "1day": 1440}


class Crash(Exception):
    """The process dies here; only what was written stays."""


@dataclass
class World:
    """Everything a tick asks, answered from a drawn list, and everything it writes."""

    answers: list[bool]
    crash_after: int | None = None
    asked: list[tuple[str, object]] = field(default_factory=list)
    index: int = 0
    period: str = ""
    rows: list[tuple[object, bool]] = field(default_factory=list)
    finished: bool = False

    def ask(self, kind: str, step: object) -> bool:
        self._maybe_crash()
        self.asked.append((kind, step))
        return self.answers.pop(0) if self.answers else False

    def write(self, **changes: object) -> None:
        self._maybe_crash()
        for name, value in changes.items():
            setattr(self, name, value)

    def _maybe_crash(self) -> None:
        if self.crash_after is not None:
            if self.crash_after == 0:
                raise Crash
            self.crash_after -= 1


@dataclass(frozen=True)
class Plan:
    periods: list[str | None]
    preconditions: list[bool]
    target_period: str | None
    has_target: bool
    guard: bool
    aim_guard: bool
    whole: bool
    stop_on_fail: bool


def model_tick(plan: Plan, world: World, now: datetime, ad_hoc: bool) -> None:
    """One tick as the text tells it."""
    longest = 0
    steps: list[object] = [*range(len(plan.periods))]
    if plan.has_target:
        steps.append("target")
    while world.index < len(steps):
        step = steps[world.index]
        is_target = step == "target"
        period = plan.target_period if is_target else plan.periods[step]
        guarded = plan.aim_guard if is_target else plan.guard
        no = tried = False
        if guarded and not world.ask("guard", step):
            no = True
        if not no and period is not None:
            if period != world.period and not plan.whole:
                world.write(period=period)
            due = longest >= LENGTHS[period] if longest else ad_hoc or CRONS[period](now)
            no = not due
        if not no and plan.preconditions[world.index] and not world.ask("can_run", step):
            no = True
        if not no:
            tried = True
            passed = world.ask("try", step)
            no = not passed
        if no and not plan.whole:
            if tried:
                world.write(rows=[*world.rows, (step, False)])
            return
        world.write(rows=[*world.rows, (step, not no)], index=world.index + 1)
        if no and plan.stop_on_fail:
            break
        if not no and period is not None:
            longest = max(longest, LENGTHS[period])
    world.write(finished=True)


def engine_tick(plan: Plan, world: World, now: datetime, ad_hoc: bool) -> None:
    """The same tick, driven by the engine."""

    def task(index: int, period: str | None) -> MissionTask:
        can_run = "condition" if plan.preconditions[index] else "always_true"
        return MissionTask(id=index + 1, name=f"t{index}", template="x", period=period, can_run=can_run)

    queue = tuple(task(index, period) for index, period in enumerate(plan.periods))
    target = task(len(queue), plan.target_period) if plan.has_target else None
    mission = Mission(
        id=1,
        name="m",
        task_ids=tuple(each.id for each in queue),
        target_id=target.id if target else None,
        walk="whole" if plan.whole else "progress",
        stop_on_fail=plan.stop_on_fail,
        can_run_before_each_task="guard" if plan.guard else "",
        can_run_before_aim="aim" if plan.aim_guard else "",
    )
    walk = begin(
        mission,
        queue,
        target,
        next_index=world.index,
        period=next(p for p in Period if str(p) == world.period),
        tick=Tick(now, ad_hoc),
    )
    while True:
        move = next_move(walk)
        match move:
            case AskGuard(step):
                answer = YES if world.ask("guard", place(step)) else NO
            case AskPrecondition(step):
                answer = YES if world.ask("can_run", place(step)) else NO
            case TakePeriod(period=period):
                world.write(period=str(period))
                answer = YES
            case Attempt(step):
                answer = YES if world.ask("try", place(step)) else NO
                advance = answer.yes or plan.whole
                world.write(rows=[*world.rows, (place(step), answer.yes)], index=world.index + advance)
            case Note(step):
                world.write(rows=[*world.rows, (place(step), False)], index=world.index + 1)
                answer = YES
            case Hold():
                return
            case Finish(passed, steps):
                assert steps == len(queue) + plan.has_target
                assert passed <= steps
                world.write(finished=True)
                return
        walk = walk.after(move, answer)


def place(step: Step) -> object:
    return "target" if step.role == "target" else step.index


period_words = st.none() | st.sampled_from(list(CRONS))


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    periods = draw(st.lists(period_words, max_size=6))
    has_target = draw(st.booleans()) or not periods
    return Plan(
        periods=periods,
        preconditions=draw(st.lists(st.booleans(), min_size=len(periods) + 1, max_size=len(periods) + 1)),
        target_period=draw(period_words),
        has_target=has_target,
        guard=draw(st.booleans()),
        aim_guard=draw(st.booleans()),
        whole=draw(st.booleans()),
        stop_on_fail=draw(st.booleans()),
    )


def starting_period(plan: Plan) -> str:
    tasks = tuple(MissionTask(id=i, name="t", template="x", period=p) for i, p in enumerate(plan.periods, 1))
    target = (
        MissionTask(id=99, name="t", template="x", period=plan.target_period) if plan.has_target else None
    )
    return str(first_period(tasks, target))


minutes = st.integers(0, 60 * 24).map(lambda m: datetime(2026, 11, 22, tzinfo=UTC) + timedelta(minutes=m))
ticks = st.lists(
    st.tuples(minutes, st.booleans(), st.lists(st.booleans(), max_size=20), st.none() | st.integers(0, 25)),
    min_size=1,
    max_size=8,
)


@settings(max_examples=600, deadline=None)
@given(plan=plans(), ticks=ticks)
def test_engine_and_model_agree_tick_by_tick(plan: Plan, ticks: list) -> None:
    told, driven = World([], period=starting_period(plan)), World([], period=starting_period(plan))
    for now, ad_hoc, answers, crash_after in ticks:
        for world, run in ((told, model_tick), (driven, engine_tick)):
            world.answers, world.crash_after = list(answers), crash_after
            try:
                if not world.finished:
                    run(plan, world, now, ad_hoc)
            except Crash:
                if plan.whole:  # the next tick starts anew
                    world.index, world.rows = 0, []
        assert told == driven


@settings(max_examples=600, deadline=None)
@given(plan=plans(), ticks=ticks)
def test_whatever_crashes_no_task_repeats_is_skipped_or_starts_past_a_no(plan: Plan, ticks: list) -> None:
    world = World([], period=starting_period(plan))
    for now, ad_hoc, answers, crash_after in ticks:
        world.answers, world.crash_after, world.asked = list(answers), crash_after, []
        before = world.index
        try:
            if not world.finished:
                engine_tick(plan, world, now, ad_hoc)
        except Crash:
            if plan.whole:
                world.index, world.rows = 0, []
                continue
        if plan.whole:
            continue
        tried = [step for kind, step in world.asked if kind == "try"]
        places: list[object] = [*range(len(plan.periods)), "target"]
        assert tried == places[before : before + len(tried)]
    if not plan.whole:
        passes = [step for step, passed in world.rows if passed]
        assert passes == [*range(len(plan.periods)), "target"][: world.index]
        assert len(passes) == world.index
