"""The templates by name: what a Task may name, with which params, and what trying it may change."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, TypeVar, get_type_hints

from missiondesk.templates.context import Context
from missiondesk.templates.params import Params
from missiondesk.templates.plugins import broken_plugins, load_templates
from models.errors import InputRefused, UnknownName
from models.result import Verdict

Kind = Literal["data", "trade", "condition", "mix", "component"]

Effect = Literal["order", "condition", "component"]
"""What a try may change outside: send an order, set a Condition, command a component."""

Try = TypeVar("Try", bound=Callable[..., Verdict])

_EFFECT_OF_KIND: dict[Kind, Effect] = {"trade": "order", "component": "component"}


class UnknownTemplate(UnknownName):
    """No template has this name; the text names the nearest ones and the plug-ins that are missing."""

    def __init__(self, given: str, existing: Iterable[str]) -> None:
        names = list(existing)
        super().__init__("template", given, names)
        near = get_close_matches(given, names, n=3)
        notes = [f"did you mean {' or '.join(near)}?"] if near else []
        notes += [str(broken) for broken in broken_plugins()]
        self.args = ("; ".join([self.args[0], *notes]),)


@dataclass(frozen=True)
class TaskTemplate:
    """A template: (context, validated params) → Verdict, under a name.

    effect: what a try may change; None where it only looks (for a mix of members see `members.effects`).
    recorded: whether tries appear in the ResultLog.
    """

    name: str
    kind: Kind
    params: type[Params]
    function: Callable[[Context, Any], Verdict]
    effect: Effect | None
    recorded: bool
    help: str

    @property
    def summary(self) -> str:
        return self.help.partition("\n")[0]


_templates: dict[str, TaskTemplate] = {}


def template(
    name: str, *, kind: Kind, effect: Effect | None = None, recorded: bool = True
) -> Callable[[Try], Try]:
    """Register the decorated function as a template.

    Its second argument is annotated with a `Params` model, its docstring is the help text. Raises
    InputRefused when another function has the name; registering the same function again replaces it.
    """

    def register(function: Try) -> Try:
        made = TaskTemplate(
            name=name,
            kind=kind,
            params=_params_model(name, function),
            function=function,
            effect=effect or _EFFECT_OF_KIND.get(kind),
            recorded=recorded,
            help=inspect.getdoc(function) or "",
        )
        present = _templates.get(name)
        if present is not None and _origin(present.function) != _origin(function):
            raise InputRefused(
                f"expected a new name for the template of {_origin(function)}, "
                f"got {name!r}, which {_origin(present.function)} has"
            )
        _templates[name] = made
        return function

    return register


def _origin(function: Callable[..., Any]) -> str:
    return f"{inspect.unwrap(function).__module__}.{inspect.unwrap(function).__qualname__}"


def _params_model(name: str, function: Callable[..., Any]) -> type[Params]:
    arguments = list(inspect.signature(function).parameters)
    hints = get_type_hints(function)
    model = hints.get(arguments[1]) if len(arguments) == 2 else None
    if not (isinstance(model, type) and issubclass(model, Params)):
        raise InputRefused(
            f"expected template {name!r} to be a function (context, params: a Params model), "
            f"got {function.__qualname__}{inspect.signature(function)}"
        )
    return model


def find(name: str) -> TaskTemplate:
    """Raises UnknownTemplate, which names the nearest existing ones."""
    load_templates()
    if name not in _templates:
        raise UnknownTemplate(name, _templates)
    return _templates[name]


def all_templates() -> list[TaskTemplate]:
    """Every template, by name."""
    load_templates()
    return sorted(_templates.values(), key=lambda template: template.name)


def json_schema(name: str) -> dict[str, Any]:
    """The JSON Schema of a template's params, with its help as description. Raises UnknownTemplate."""
    found = find(name)
    return {**found.params.model_json_schema(), "title": found.name, "description": found.help}
