"""The name `module:function` under which another process finds a timed task."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from models.errors import InputRefused

if TYPE_CHECKING:
    from missiondesk.timed.task import TimedTask

# Where a decorated function, and a Prefect flow made of one, carry their TimedTask.
ATTRIBUTE = "timed_task"


def entrypoint_of(function: Callable[..., Any]) -> str | None:
    """None for a function that can't be imported: one of a script, or made inside another function."""
    module, name = function.__module__, function.__qualname__
    if module == "__main__":
        spec = getattr(sys.modules["__main__"], "__spec__", None)
        module = "" if spec is None else spec.name
    return None if not module or "<" in name else f"{module}:{name}"


def load_timed_task(entrypoint: str) -> TimedTask:
    """Import what `entrypoint_of` named. Raises InputRefused when it isn't there, or isn't a timed task."""
    from missiondesk.timed.task import TimedTask

    module, _, name = entrypoint.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except Exception as error:  # a module that is imported may raise anything
        raise InputRefused(
            f"timed task {entrypoint!r} could not be imported: {type(error).__name__}: {error}; the worker "
            "needs its module installed, or its folder on PYTHONPATH"
        ) from error
    timed_task = getattr(found, ATTRIBUTE, None)
    if not isinstance(timed_task, TimedTask):
        raise InputRefused(
            f"expected a function decorated with @timed_task at {entrypoint!r}, got {found!r:.80}"
        )
    return timed_task
