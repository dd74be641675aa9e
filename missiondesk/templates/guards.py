"""Whether a step may run: guards (a Condition or a Task that only looks) and preconditions (can_run).

A leading `!` negates. An answer that could not be found, because data is missing, is a no either way.
"""

from __future__ import annotations

from dataclasses import replace

from missiondesk.engine.walk import YES, Answer
from missiondesk.templates.checks import find_check
from missiondesk.templates.context import Context
from missiondesk.templates.run import try_template
from missiondesk.templates.undecided import UNDECIDED_RULES, Undecided, not_decided
from missiondesk.templates.validation import check_task
from models.errors import InputRefused
from models.mission import ALWAYS_FALSE, ALWAYS_TRUE, MissionTask
from models.result import Verdict

RULE_CONDITION = "CONDITION"

_BUILT_IN = {ALWAYS_TRUE: True, ALWAYS_FALSE: False}


def guard_subject(guard: str) -> tuple[str, bool]:
    """What a guard names, and whether a yes of it is needed: `!stopped` → ("stopped", False)."""
    name = guard.strip()
    needed = not name.startswith("!")
    return name.removeprefix("!").strip(), needed


def evaluate_guard(guard: str, context: Context, task_named: MissionTask | None) -> Answer:
    """Ask a guard. `task_named`: the Task of the name that `guard_subject` gives, if there is one.

    A blank guard says yes, a name that nothing has becomes a Condition that is false. Raises InputRefused
    for a Task that does more than look, and for a name that is both a Condition and a Task.
    """
    name, needed = guard_subject(guard)
    if not name:
        return _blank(guard)
    if task_named is None:
        return _of_condition(name, needed, context)
    check_guard_task(guard, task_named)
    if name in _BUILT_IN or context.conditions.exists(name):
        raise InputRefused(
            f"expected guard {guard!r} to name either a Condition or a Task, got a name that both have: "
            f"rename the Task, or remove the Condition"
        )
    asked = replace(context, task_id=task_named.id, task=task_named.name)
    return _answer(f"Task {name}:", needed, try_template(asked, task_named))


def evaluate_precondition(can_run: str, context: Context) -> Answer:
    """Ask a Task's can_run: a registered check, else a Condition, created as false when it is new."""
    name, needed = guard_subject(can_run)
    if not name:
        return _blank(can_run)
    check = find_check(name)
    if check is None:
        return _of_condition(name, needed, context)
    try:
        verdict = check(context)
    except Undecided as error:
        verdict = not_decided(error)
    return _answer(f"check {name}:", needed, verdict)


def check_guard_task(guard: str, task: MissionTask) -> None:
    """Raises InputRefused unless the Task may be asked as a guard: kind data, or condition_is."""
    template, _ = check_task(task)
    if template.kind != "data" and template.name != "condition_is":
        raise InputRefused(
            f"expected guard {guard!r} to name a Condition, or a Task of kind data or condition_is, "
            f"got the Task {task.name!r} of template {template.name} (kind {template.kind})"
        )


def _blank(guard: str) -> Answer:
    if guard.strip():
        raise InputRefused(f"expected the name of a Condition or a Task after the !, got {guard!r}")
    return YES


def _of_condition(name: str, needed: bool, context: Context) -> Answer:
    valid = _BUILT_IN[name] if name in _BUILT_IN else context.conditions.read(name)
    told = Verdict(valid, RULE_CONDITION, "is true" if valid else "is false")
    return _answer(f"Condition {name}", needed, told)


def _answer(subject: str, needed: bool, verdict: Verdict) -> Answer:
    yes = verdict.rule not in UNDECIDED_RULES and verdict.passed is needed
    wanted = "" if needed else ", and its opposite is needed"
    return Answer(yes, verdict.rule, f"{subject} {verdict.msg}{wanted}")
