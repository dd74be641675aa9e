"""Check functions that a Task's can_run may name: code of one's own that says whether the Task may run.

@check("exchange_is_calm")
def exchange_is_calm(context: Context) -> Verdict: ...
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from missiondesk.templates.context import Context
from missiondesk.templates.plugins import load_templates
from models.errors import InputRefused
from models.mission import ALWAYS_FALSE, ALWAYS_TRUE
from models.result import Verdict

Check = Callable[[Context], Verdict]
Checking = TypeVar("Checking", bound=Check)

_checks: dict[str, Check] = {}


def check(name: str) -> Callable[[Checking], Checking]:
    """Register the decorated function under a name; it may only look.

    Raises InputRefused when another function has the name.
    """

    def register(function: Checking) -> Checking:
        present = _checks.get(name)
        if present is not None and present.__qualname__ != function.__qualname__:
            raise InputRefused(
                f"expected a new name for the check {function.__qualname__}, got {name!r}, taken"
            )
        _checks[name] = function
        return function

    return register


def find_check(name: str) -> Check | None:
    """The registered check of that name, if there is one."""
    load_templates()
    return _checks.get(name)


def check_names() -> list[str]:
    load_templates()
    return sorted(_checks)


@check(ALWAYS_TRUE)
def always_true(context: Context) -> Verdict:
    """Says yes."""
    return Verdict(True, "ALWAYS_TRUE")


@check(ALWAYS_FALSE)
def always_false(context: Context) -> Verdict:
    """Says no."""
    return Verdict(False, "ALWAYS_FALSE", "always_false never lets anything run")
