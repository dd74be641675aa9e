"""Where templates and checks come from: our own modules, and those that other packages register.

A package brings its own by an entry point in the group `missiondesk.templates` that names a module; importing
the module registers what it decorates with `@template` and `@check`.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

log = logging.getLogger(__name__)

GROUP = "missiondesk.templates"

_OWN = (
    "checks",
    "compare",
    "component",
    "condition",
    "data",
    "exits",
    "market_state",
    "mix",
    "presets",
    "spread",
    "trade",
)


@dataclass(frozen=True)
class BrokenPlugin:
    """An entry point that could not be loaded, and why. What it would have brought is missing, no more."""

    name: str
    value: str
    reason: str

    def __str__(self) -> str:
        return f"plug-in {self.name} ({self.value}) could not be loaded: {self.reason}"


@cache
def load_templates() -> None:
    """Make every template and check known; only the first call does anything."""
    for name in _OWN:
        import_module(f"missiondesk.templates.{name}")
    broken_plugins()


@cache
def broken_plugins() -> tuple[BrokenPlugin, ...]:
    """The plug-ins that could not be loaded; the first call loads all of them."""
    loaded = (_load(entry) for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name))
    return tuple(broken for broken in loaded if broken is not None)


def _load(entry: EntryPoint) -> BrokenPlugin | None:
    try:
        entry.load()
    except Exception as error:
        broken = BrokenPlugin(entry.name, entry.value, f"{type(error).__name__}: {error}")
        log.warning("%s", broken, exc_info=error)
        return broken
    return None
