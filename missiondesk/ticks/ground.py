"""The live ground of a walk: guards are asked, templates tried and results recorded, all under the lease."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime

from missiondesk.engine.walk import Answer, Step
from missiondesk.store.walks import Walks
from missiondesk.templates.context import Context
from missiondesk.templates.guards import evaluate_guard, evaluate_precondition, guard_subject
from missiondesk.templates.registry import find
from models.errors import LeaseLost
from models.mission import MissionTask
from models.missionary import Missionary
from models.result import RULE_ERROR, Result, Verdict
from models.timer import Period

log = logging.getLogger(__name__)

Attempting = Callable[[MissionTask, Context], Verdict]


class StepBroke(Exception):
    """A Task raised and its retries are used up; it is recorded as ERROR, and the Missionary stays."""

    def __init__(self, step: Step, cause: Exception) -> None:
        super().__init__(f"{step.task.name}: {cause or type(cause).__name__}")
        self.step, self.cause = step, cause


class LiveGround:
    """Implements `engine.drive.Ground` for one leased Missionary.

    `attempting` runs one try of a Task's template, with its retries and timeout around it. A failed attempt
    of a progress walk is kept back until `hold`, so that its row and the lease's release are one statement.
    """

    def __init__(
        self,
        walks: Walks,
        missionary: Missionary,
        holder: str,
        *,
        whole: bool,
        tasks_by_name: Mapping[str, MissionTask],
        context_of: Callable[[Step], Context],
        attempting: Attempting,
        clock: Callable[[], datetime],
    ) -> None:
        self._walks, self._missionary, self._holder = walks, missionary, holder
        self._whole, self._tasks_by_name = whole, tasks_by_name
        self._context_of, self._attempting, self._clock = context_of, attempting, clock
        self._advances = 0
        self._held_back: Result | None = None
        self.target_result: Result | None = None
        self.results: list[Result] = []
        self.broken: list[StepBroke] = []

    def ask_guard(self, step: Step, name: str) -> Answer:
        subject, _ = guard_subject(name)
        return evaluate_guard(name, self._context_of(step), self._tasks_by_name.get(subject))

    def ask_precondition(self, step: Step, name: str) -> Answer:
        return evaluate_precondition(name, self._context_of(step))

    def take_period(self, step: Step, period: Period) -> None:
        self._walks.take_period(self._missionary.id, self._holder, period)

    def attempt(self, step: Step) -> Answer:
        try:
            verdict = self._attempting(step.task, self._context_of(step))
        except LeaseLost:
            raise
        except Exception as error:
            return self._broke(StepBroke(step, error))
        self._settle(step, verdict)
        return Answer(verdict.passed, verdict.rule, verdict.msg)

    def note(self, step: Step, answer: Answer) -> None:
        self._record(
            self._result(step, Verdict(False, answer.rule, "{reason}", {"reason": answer.reason})), True
        )

    def hold(self, answer: Answer) -> None:
        """End the tick: the failed attempt's row, the reason and the lease's release, at once."""
        if self._held_back is None:
            self._walks.release(self._missionary.id, self._holder, answer.rule, answer.reason)
            return
        self._walks.record(
            self._missionary.id,
            self._holder,
            self._held_back,
            expected_index=self.index,
            advance=False,
            release=(answer.rule, answer.reason),
        )

    @property
    def index(self) -> int:
        """The first Task not yet passed."""
        return self._missionary.next_index + self._advances

    def _settle(self, step: Step, verdict: Verdict) -> None:
        result = self._result(step, verdict)
        if not find(step.task.template).recorded:
            if verdict.passed or self._whole:
                self._record(None, True)
            return
        if step.role == "target" and verdict.passed and not self._whole:
            self.results.append(result)
            self.target_result = result
        elif verdict.passed or self._whole:
            self._record(result, True)
        else:
            self.results.append(result)
            self._held_back = result

    def _broke(self, broken: StepBroke) -> Answer:
        cause = broken.cause
        log.error("%s broke", broken.step.task.name, exc_info=cause)
        text = str(cause) or type(cause).__name__
        result = self._result(broken.step, Verdict(False, RULE_ERROR, "{error}", {"error": text}))
        self.broken.append(broken)
        if self._whole:
            self._record(result, True)
            return Answer(False, RULE_ERROR, text)
        self._walks.record(
            self._missionary.id,
            self._holder,
            result,
            expected_index=self.index,
            advance=False,
            release=(RULE_ERROR, text),
        )
        self.results.append(result)
        raise broken

    def _record(self, result: Result | None, advance: bool) -> None:
        self._walks.record(
            self._missionary.id,
            self._holder,
            result,
            expected_index=self.index,
            advance=advance,
            release=None,
        )
        self._advances += advance
        if result is not None:
            self.results.append(result)

    def _result(self, step: Step, verdict: Verdict) -> Result:
        return Result(
            passed=verdict.passed,
            rule=verdict.rule,
            msg=verdict.msg,
            task_id=step.task.id,
            task_name=step.task.name,
            role=step.role,
            task_index=step.index,
            logged_at=self._clock(),
        )
