"""The members of a mix: other templates with their params, nested to any depth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, ValidationInfo, WithJsonSchema, field_validator

from missiondesk.templates.context import Context
from missiondesk.templates.params import Params
from missiondesk.templates.registry import Effect, TaskTemplate, find
from models.errors import UnknownName
from models.result import Verdict


class Member(Params):
    """One template of a mix. Once validated, `params` is the template's own params model."""

    template: str
    params: Annotated[Any, WithJsonSchema({"type": "object"})] = Field(
        default_factory=dict, validate_default=True
    )

    @field_validator("template")
    @classmethod
    def _is_known(cls, name: str) -> str:
        try:
            return find(name).name
        except UnknownName as error:
            raise ValueError(str(error)) from None

    @field_validator("params")
    @classmethod
    def _fit_the_template(cls, given: Any, info: ValidationInfo) -> Any:
        # The nested ValidationError keeps its fields: they are reported under this one.
        return find(info.data["template"]).params.model_validate(given) if "template" in info.data else given

    def answer(self, context: Context) -> Verdict:
        """Ask the member in its own place, `context`."""
        return answer(context, find(self.template), self.params)


def answer(context: Context, template: TaskTemplate, params: Params) -> Verdict:
    """Ask a template inside a mix; a trade that is filled already has passed and is not sent again."""
    if template.effect == "order" and context.orders.filled(context.key):
        return Verdict(True, "FILLED", "filled before")
    return template.function(context, params)


class MixParams(Params):
    """Base of the params of every mix."""

    @property
    def members(self) -> tuple[Member, ...]:
        raise NotImplementedError


@dataclass(frozen=True)
class Leaf:
    """A template inside a Task that has no members of its own. `path` is () for a Task that is no mix."""

    path: tuple[int, ...]
    template: TaskTemplate
    params: Params

    def context(self, task: Context) -> Context:
        """The context of this place, from that of its Task (or of the mix that the path starts from)."""
        place = task
        for index in self.path:
            place = place.member(index)
        return place

    def answer(self, task: Context) -> Verdict:
        return answer(self.context(task), self.template, self.params)


def leaves(template: TaskTemplate, params: Params, path: tuple[int, ...] = ()) -> Iterator[Leaf]:
    """The leaves from left to right."""
    if not isinstance(params, MixParams):
        yield Leaf(path, template, params)
        return
    for index, member in enumerate(params.members):
        yield from leaves(find(member.template), member.params, (*path, index))


def effects(template: TaskTemplate, params: Params) -> frozenset[Effect]:
    """What a try may change outside, members included."""
    found = (leaf.template.effect for leaf in leaves(template, params))
    return frozenset(effect for effect in found if effect is not None)


def traded(context: Context, template: TaskTemplate, params: Params) -> Iterator[Leaf]:
    """The trade leaves with an order that may be at the venue or has filled; `context` is the mix's."""
    for leaf in leaves(template, params):
        if leaf.template.effect == "order" and context.orders.started(leaf.context(context).key) is not None:
            yield leaf
