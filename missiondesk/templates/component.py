"""The template that asks a component, a program elsewhere, to work and waits for its report."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from missiondesk.templates.context import Context
from missiondesk.templates.params import Params
from missiondesk.templates.registry import template
from models.component import EXECUTION_SECONDS, CommandStatus
from models.errors import InputRefused
from models.result import Verdict

LONGEST_SHOWN = 500

_DOUBT = "; it may have been done, so it is not asked again in this walk"


class ComponentParams(Params):
    module: Annotated[str, Field(min_length=1, max_length=200, description="Hash or name of the component")]
    args: Any = Field(default=None, description="What it is sent, as JSON")
    timeout_seconds: Annotated[float, Field(gt=0, le=86_400, description="For its report")] = (
        EXECUTION_SECONDS
    )
    repeatable: Annotated[
        bool, Field(description="Whether it may be done twice: then it is asked again when in doubt")
    ] = False


@template("component", kind="component")
def component(context: Context, params: ComponentParams) -> Verdict:
    """A component does its work. Passes when it reports success.

    It is asked once for each place in a walk: where it has already succeeded it is not asked again. Nor is it
    where it may have done its work though no report came, unless the work is `repeatable`.
    """
    if context.components is None:
        raise InputRefused("expected a desk with components, got one without (replays have none)")
    outcome = context.components.work(
        context, params.module, params.args, params.timeout_seconds, repeatable=params.repeatable
    )
    passed = outcome.status is CommandStatus.SUCCEEDED
    said = outcome.message if passed else outcome.error or outcome.message
    args = {
        "module": params.module,
        "status": outcome.status.value,
        "said": f": {said[:LONGEST_SHOWN]}" if said else "",
        "doubt": _DOUBT if outcome.status.in_doubt and not params.repeatable else "",
    }
    return Verdict(passed, f"COMPONENT_{outcome.status.upper()}", "{module} {status}{said}{doubt}", args)
