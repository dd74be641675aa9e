"""Templates that read and set Conditions, the named booleans that Missions share."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from missiondesk.templates.context import Context
from missiondesk.templates.params import Params
from missiondesk.templates.registry import template
from models.mission import ALWAYS_FALSE, ALWAYS_TRUE
from models.result import Verdict


def _can_be_named_by_guards(name: str) -> str:
    if name != name.strip() or name.startswith("!"):
        raise ValueError(f"expected a name without a leading ! and without spaces around it, got {name!r}")
    return name


def _is_not_built_in(name: str) -> str:
    if name in (ALWAYS_TRUE, ALWAYS_FALSE):
        raise ValueError(
            f"expected a Condition of your own, got {name!r}, which is built in and never changes"
        )
    return name


ConditionName = Annotated[
    str,
    AfterValidator(_can_be_named_by_guards),
    Field(min_length=1, max_length=200, description="Created as false when it is first named"),
]
SettableCondition = Annotated[ConditionName, AfterValidator(_is_not_built_in)]


class ConditionIsParams(Params):
    condition: ConditionName
    valid: bool = True


class SetConditionParams(Params):
    condition: SettableCondition
    valid: bool


@template("condition_is", kind="condition")
def condition_is(context: Context, params: ConditionIsParams) -> Verdict:
    """A Condition is true (or false, with `"valid": false`)."""
    valid = context.conditions.read(params.condition)
    args = {"condition": params.condition, "valid": _word(valid), "needed": _word(params.valid)}
    return Verdict(valid is params.valid, "CONDITION_IS", "{condition}={valid}, needs {needed}", args)


@template("set_condition", kind="condition", effect="condition")
def set_condition(context: Context, params: SetConditionParams) -> Verdict:
    """Sets a Condition, for the guards of other Missions to read. Always passes."""
    context.conditions.write(params.condition, params.valid)
    args = {"condition": params.condition, "valid": _word(params.valid)}
    return Verdict(True, "SET_CONDITION", "{condition} is now {valid}", args)


def _word(valid: bool) -> str:
    return "true" if valid else "false"
