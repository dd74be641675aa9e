"""Which modules the forkserver holds in memory before it forks the first child."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Iterable


def preload(names: Iterable[str]) -> None:
    """Import each module; one that does not exist is left out, one that fails is reported on stderr.

    What is imported must start no thread and open no connection: a fork loses the one and shares the other.
    """
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:
            if not (isinstance(error, ModuleNotFoundError) and _names_itself(error, name)):
                print(f"prefork worker: could not preload {name}:", file=sys.stderr)  # noqa: T201
                traceback.print_exc()


def _names_itself(error: ModuleNotFoundError, name: str) -> bool:
    return error.name is not None and f"{name}.".startswith(f"{error.name}.")
