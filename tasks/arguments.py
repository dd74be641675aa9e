"""How live objects reach a task: Prefect would look into each argument for futures."""

from __future__ import annotations

from typing import TypeVar, cast

from prefect.utilities.annotations import quote

Value = TypeVar("Value")


def untouched(value: Value) -> Value:
    """The argument as the task will receive it, handed over without being looked into."""
    return cast(Value, quote(value))
