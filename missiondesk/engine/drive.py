"""Makes the moves of a walk one after the other, on whatever ground they are made: live, or in a replay."""

from __future__ import annotations

from typing import Protocol, assert_never

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
    Walk,
    next_move,
)
from models.timer import Period


class Ground(Protocol):
    """Where the moves of a walk happen. Whatever is written must be durable when the call returns."""

    def ask_guard(self, step: Step, name: str) -> Answer: ...

    def take_period(self, step: Step, period: Period) -> None: ...

    def ask_precondition(self, step: Step, name: str) -> Answer: ...

    def attempt(self, step: Step) -> Answer:
        """Try the step's template; a pass is recorded together with the advance before this returns."""
        ...

    def note(self, step: Step, answer: Answer) -> None: ...


def drive(walk: Walk, ground: Ground) -> tuple[Walk, Hold | Finish]:
    """Walk until the tick is held or the list is finished; returns the last walk and how it ended."""
    while True:
        move = next_move(walk)
        answer = YES
        match move:
            case AskGuard(step, name):
                answer = ground.ask_guard(step, name)
            case TakePeriod(step, period):
                ground.take_period(step, period)
            case AskPrecondition(step, name):
                answer = ground.ask_precondition(step, name)
            case Attempt(step):
                answer = ground.attempt(step)
            case Note(step, no):
                ground.note(step, no)
            case Hold() | Finish():
                return walk, move
            case _:
                assert_never(move)
        walk = walk.after(move, answer)
