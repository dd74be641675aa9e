"""What a finished run returned, also where a notebook's own event loop runs."""

from __future__ import annotations

from typing import Any

from prefect.client.schemas.objects import State
from prefect.utilities.asyncutils import run_coro_as_sync


def result_of(state: State[Any]) -> Any:
    """The value of a completed run; raises what a failed one raised."""
    return run_coro_as_sync(state.aresult(raise_on_failure=True))


def data_of(state: State[Any]) -> Any:
    """The value or the exception that a state carries, whatever its type."""
    return run_coro_as_sync(state.aresult(raise_on_failure=False))
