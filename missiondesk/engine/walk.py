"""The walk of one tick along a Mission's list, as a pure state machine.

    walk = begin(...)
    while True:
        move = next_move(walk)      # what to do, decided from what is known
        ...do it...                 # the flow, or a replay: the only place where things happen
        walk = walk.after(move, answer)

For each step: guard → due → precondition → attempt. The first "no" holds the tick; in a whole walk it is
noted as not passed and the walk goes on. The Target is the last step, with the aim guard as its guard.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import assert_never

from missiondesk.engine.due import Tick, is_due
from models.mission import ALWAYS_TRUE, Mission, MissionTask
from models.result import Role
from models.timer import Period


@dataclass(frozen=True)
class Step:
    """A place on the list: a Task at its index, or the Target (index None)."""

    role: Role
    index: int | None
    task: MissionTask


@dataclass(frozen=True)
class Answer:
    """A yes or a no, with the rule that decided and the reason in words."""

    yes: bool
    rule: str
    reason: str = ""


YES = Answer(True, "DEFAULT")


@dataclass(frozen=True)
class AskGuard:
    """Ask the guard before a step. Answered by an Answer."""

    step: Step
    name: str


@dataclass(frozen=True)
class TakePeriod:
    """Give the Missionary the step's period, and keep it. Answered by YES."""

    step: Step
    period: Period


@dataclass(frozen=True)
class AskPrecondition:
    """Ask the step's own can_run. Answered by an Answer."""

    step: Step
    name: str


@dataclass(frozen=True)
class Attempt:
    """Try the step's template, and record it with its advance. Answered by the verdict as an Answer."""

    step: Step


@dataclass(frozen=True)
class Note:
    """Record a "no" of a whole walk as not passed, without trying the step. Answered by YES."""

    step: Step
    answer: Answer


@dataclass(frozen=True)
class Hold:
    """The tick ends here; the Missionary goes on at the next one."""

    step: Step
    answer: Answer


@dataclass(frozen=True)
class Finish:
    """The Missionary ends: its Target passed, or there is none, or a whole walk reached its end."""

    passed: int
    steps: int


Move = AskGuard | TakePeriod | AskPrecondition | Attempt | Note | Hold | Finish


class Stage(Enum):
    """What is asked next of the step at hand. Each stage is reached from the one above it."""

    GUARD = auto()
    DUE = auto()
    ATTEMPT = auto()
    NOTED = auto()  # whole walks: a "no" waits to be recorded
    HELD = auto()  # progress walks: the tick is over
    STOPPED = auto()  # whole walks: the rest of the list is left out


@dataclass(frozen=True)
class Walk:
    """What one tick knows. `period` is the Missionary's; `longest_passed` counts passes of this tick only."""

    queue: tuple[MissionTask, ...]
    target: MissionTask | None
    guard: str
    aim_guard: str
    whole: bool
    stop_on_fail: bool
    tick: Tick
    index: int
    period: Period
    longest_passed: Period | None = None
    stage: Stage = Stage.GUARD
    no: Answer = YES
    passed: int = 0

    @property
    def steps(self) -> int:
        return len(self.queue) + (self.target is not None)

    @property
    def step(self) -> Step | None:
        """The step at hand; None behind the last one."""
        if self.index < len(self.queue):
            return Step("task", self.index, self.queue[self.index])
        if self.index == len(self.queue) and self.target is not None:
            return Step("target", None, self.target)
        return None

    def after(self, move: Move, answer: Answer) -> Walk:
        """The walk once `move` was made and answered. Hold and Finish have no after."""
        match move:
            case AskGuard():
                return replace(self, stage=Stage.DUE) if answer.yes else self._refused(answer)
            case TakePeriod(period=period):
                return replace(self, period=period)
            case AskPrecondition():
                return replace(self, stage=Stage.ATTEMPT) if answer.yes else self._refused(answer)
            case Attempt():
                return self._passed() if answer.yes else self._failed(answer)
            case Note():
                return self._left_behind()
            case Hold() | Finish():
                raise ValueError(f"{type(move).__name__} ends the walk")
            case _:
                assert_never(move)

    def _passed(self) -> Walk:
        assert self.step is not None
        period = self.step.task.period
        longest = max((p for p in (self.longest_passed, period) if p is not None), default=None)
        return replace(
            self, index=self.index + 1, stage=Stage.GUARD, longest_passed=longest, passed=self.passed + 1
        )

    def _refused(self, answer: Answer) -> Walk:
        return replace(self, stage=Stage.NOTED if self.whole else Stage.HELD, no=answer)

    def _failed(self, answer: Answer) -> Walk:
        return self._left_behind() if self.whole else replace(self, stage=Stage.HELD, no=answer)

    def _left_behind(self) -> Walk:
        stage = Stage.STOPPED if self.stop_on_fail else Stage.GUARD
        return replace(self, index=self.index + 1, stage=stage)


def begin(
    mission: Mission,
    queue: tuple[MissionTask, ...],
    target: MissionTask | None,
    *,
    next_index: int,
    period: Period,
    tick: Tick,
) -> Walk:
    """The walk of a tick that resumes at `next_index` of the Missionary's own queue."""
    return Walk(
        queue=queue,
        target=target,
        guard=mission.can_run_before_each_task,
        aim_guard=mission.can_run_before_aim,
        whole=mission.walk == "whole",
        stop_on_fail=mission.stop_on_fail,
        tick=tick,
        index=next_index,
        period=period,
    )


def next_move(walk: Walk) -> Move:
    """The one thing to do next. Total: every walk has a next move."""
    step = walk.step
    if step is None or walk.stage is Stage.STOPPED:
        return Finish(walk.passed, walk.steps)
    match walk.stage:
        case Stage.GUARD:
            guard = walk.guard if step.role == "task" else walk.aim_guard
            return AskGuard(step, guard) if guard else _due_move(walk, step)
        case Stage.DUE:
            return _due_move(walk, step)
        case Stage.ATTEMPT:
            return Attempt(step)
        case Stage.NOTED:
            return Note(step, walk.no)
        case Stage.HELD:
            return Hold(step, walk.no)
        case _:
            assert_never(walk.stage)


def _due_move(walk: Walk, step: Step) -> Move:
    period = step.task.period
    if period is not None and period is not walk.period and not walk.whole:
        return TakePeriod(step, period)
    if is_due(period, walk.longest_passed, walk.tick):
        return _precondition_move(step)
    no = Answer(False, "NOT_DUE", f"{step.task.name} is due every {period}, not at this tick")
    return Note(step, no) if walk.whole else Hold(step, no)


def _precondition_move(step: Step) -> Move:
    name = step.task.can_run
    return AskPrecondition(step, name) if name not in ("", ALWAYS_TRUE) else Attempt(step)
