"""One try of a Task's template. Flow, guard and replay all come through here."""

from __future__ import annotations

from missiondesk.templates.context import Context
from missiondesk.templates.members import MixParams, traded
from missiondesk.templates.params import Params
from missiondesk.templates.registry import TaskTemplate
from missiondesk.templates.undecided import Undecided, not_decided
from missiondesk.templates.validation import check_task
from models.errors import CallOperator
from models.mission import MissionTask
from models.result import Verdict


def try_template(context: Context, task: MissionTask) -> Verdict:
    """Try a Task once, as of `context.now`.

    Data that is not there makes a verdict that is not passed. Raises InvalidRow for a Task that does not fit
    its template, CallOperator for a template whose message can't be told, and what the ports raise
    (ExchangeUnreachable, …), which the Task's retries are for.
    """
    template, params = check_task(task)
    try:
        held = _follow_orders(context, template, params)
        verdict = template.function(context, params) if held is None else held
    except Undecided as error:
        return not_decided(error)
    _check_message(template, verdict)
    return verdict


def _check_message(template: TaskTemplate, verdict: Verdict) -> None:
    """Here, inside the try, a message that does not fit its arguments is an exception like any other."""
    try:
        str(verdict.msg)
    except Exception as error:
        raise CallOperator(
            f"template {template.name}: expected msg_format to fit msg_args, "
            f"got {type(error).__name__}: {error}"
        ) from error


def _follow_orders(context: Context, template: TaskTemplate, params: Params) -> Verdict | None:
    """Follow every order of a mix that is under way; the verdict of the first that is still not filled.

    So an order is settled even when a member before it says no by now.
    """
    if not isinstance(params, MixParams):
        return None
    verdicts = (leaf.answer(context) for leaf in traded(context, template, params))
    return next((verdict for verdict in verdicts if not verdict.passed), None)
