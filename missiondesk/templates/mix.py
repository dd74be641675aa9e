"""Templates made of other templates, nested to any depth. Members are asked from left to right.

**Trades in a mix.** A leaf that is filled in this Missionary, at this index, has passed for good and sends
nothing. Before a mix is asked at all, its orders under way are followed (`templates.run`), so a resting order
is settled even when a member before it says no by then. What an all_of reads, it reads anew at every tick:
after a fill its other members have to hold once more. Use a sequence where they should not have to.

**No data.** A member that lacks its data answers neither yes nor no. any_of goes on to the next one; if no
member passes, and in all other mixes at once, the whole Task waits for the data. So does `not`.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field, model_validator

from missiondesk.templates.context import Context
from missiondesk.templates.members import Member, MixParams, leaves, traded
from missiondesk.templates.registry import find, template
from missiondesk.templates.undecided import UNDECIDED_RULES, Undecided
from models.result import Verdict


class MembersParams(MixParams):
    tasks: list[Member] = Field(min_length=1, description="Members: each a template with its params")

    @property
    def members(self) -> tuple[Member, ...]:
        return tuple(self.tasks)


class NotParams(MixParams):
    task: Member

    @property
    def members(self) -> tuple[Member, ...]:
        return (self.task,)

    @model_validator(mode="after")
    def _only_looks(self) -> NotParams:
        found = leaves(find(self.task.template), self.task.params)
        acting = [leaf.template.name for leaf in found if leaf.template.effect is not None]
        if acting:
            raise ValueError(
                f"expected no trades, set_condition or components under not, got {', '.join(acting)}"
            )
        return self


@template("all_of", kind="mix")
def all_of(context: Context, params: MembersParams) -> Verdict:
    """Passes when all members pass in the same try; the first no ends it. Reads its members at every tick."""
    asked: list[Verdict] = []
    for index, member in enumerate(params.members):
        asked.append(member.answer(context.member(index)))
        if not asked[-1].passed:
            return _decided_by(params, index, asked[-1])
    return _decided_by_all(params, asked)


@template("any_of", kind="mix")
def any_of(context: Context, params: MembersParams) -> Verdict:
    """Passes with the first member that passes. Once a member has traded, the others are not asked again."""
    undecided: Exception | None = None
    asked: list[Verdict] = []
    for index in _candidates(context, params):
        try:
            asked.append(params.members[index].answer(context.member(index)))
        except Undecided as error:
            if _has_traded(context, params, index):
                raise
            undecided = undecided or error
            continue
        if asked[-1].passed or _has_traded(context, params, index):
            return _decided_by(params, index, asked[-1])
    if undecided is not None:
        raise undecided
    return _decided_by_all(params, asked)


@template("sequence", kind="mix")
def sequence(context: Context, params: MembersParams) -> Verdict:
    """Passes its members one after the other, over as many ticks as it takes; asks no passed one again."""
    verdict = Verdict(True, "SEQUENCE", "every member had passed before")
    for index, member in enumerate(params.members):
        place = context.member(index)
        if context.memory.has_passed(place.key):
            continue
        verdict = _decided_by(params, index, member.answer(place))
        if not verdict.passed:
            return verdict
        context.memory.remember(place.key)
    return verdict


@template("not", kind="mix")
def not_(context: Context, params: NotParams) -> Verdict:
    """Passes when its member does not. The member only looks: no trades, set_condition or components."""
    verdict = params.task.answer(context.member(0))
    if verdict.rule in UNDECIDED_RULES:
        return verdict
    text = f"not {params.task.template}: {verdict.msg}"
    return _mixed(not verdict.passed, verdict.rule, text, [(params.task, verdict)])


def _candidates(context: Context, params: MembersParams) -> Sequence[int]:
    """The members that any_of asks: the one that has traded, or all of them."""
    everyone = range(len(params.members))
    chosen = [index for index in everyone if _has_traded(context, params, index)]
    return chosen[:1] or everyone


def _has_traded(context: Context, params: MembersParams, index: int) -> bool:
    member = params.members[index]
    return next(traded(context.member(index), find(member.template), member.params), None) is not None


def _decided_by(params: MembersParams, index: int, verdict: Verdict) -> Verdict:
    member = params.members[index]
    text = f"{index + 1}/{len(params.members)} {member.template}: {verdict.msg}"
    return _mixed(verdict.passed, verdict.rule, text, [(member, verdict)])


def _decided_by_all(params: MembersParams, asked: Sequence[Verdict]) -> Verdict:
    told = list(zip(params.members, asked, strict=True))
    text = "; ".join(f"{member.template}: {verdict.msg}" for member, verdict in told)
    return _mixed(asked[-1].passed, asked[-1].rule, text, told)


def _mixed(passed: bool, rule: str, text: str, told: Sequence[tuple[Member, Verdict]]) -> Verdict:
    members = [
        {
            "template": member.template,
            "passed": verdict.passed,
            "rule": verdict.rule,
            "args": dict(verdict.msg_args),
        }
        for member, verdict in told
    ]
    return Verdict(passed, rule, "{text}", {"text": text, "members": members})
