"""`@timed_task`, on a plain function or on a Prefect flow, sync or async."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol, cast

from missiondesk.timed.entrypoint import ATTRIBUTE, entrypoint_of
from missiondesk.timed.outcome import TimedOutcome
from missiondesk.timed.task import TimedTask
from models.errors import InputRefused
from models.timed import TimedNames

_LONGEST_NAME = 255


class TimedFunction(Protocol):
    """The decorated function: the same arguments, and a TimedOutcome; awaitable if the function was async."""

    timed_task: TimedTask

    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...


def timed_task(
    *, task: str, task_name: str, flag: str, unique: Sequence[str], repeatable: bool = False
) -> Callable[[Callable[..., Any]], TimedFunction]:
    """Call the function only with items that are new, each at its time.

    Its first parameter is `executed_data` = `{timestamp: [{…}, …]}`; it is called once per timestamp with all
    its new items, other arguments pass through. Items of one task, flag and timestamp are the same when their
    `unique` fields are. `repeatable` hands over every item within the window, each time.

    Raises InputRefused for arguments that can't be, and for a function without a first parameter.
    """
    _check_names(task=task, task_name=task_name, flag=flag)
    fields = _checked_unique(task, unique)

    def decorate(function: Callable[..., Any]) -> TimedFunction:
        plain: Callable[..., Any] = getattr(function, "fn", function)  # a Prefect flow carries its function
        signature = inspect.signature(plain)
        _check_first_parameter(task, signature)
        is_async = inspect.iscoroutinefunction(plain)
        names = TimedNames(task, task_name, flag, entrypoint_of(plain))
        definition = TimedTask(function, signature, is_async, names, fields, repeatable)

        @functools.wraps(plain)
        def call(*args: Any, **kwargs: Any) -> TimedOutcome:
            return definition.call(datetime.now(UTC), *args, **kwargs)

        @functools.wraps(plain)
        async def call_async(*args: Any, **kwargs: Any) -> TimedOutcome:
            return await definition.call_async(datetime.now(UTC), *args, **kwargs)

        decorated = call_async if is_async else call
        setattr(decorated, ATTRIBUTE, definition)
        return cast(TimedFunction, decorated)

    return decorate


def _check_names(**names: str) -> None:
    for name, text in names.items():
        fits = isinstance(text, str) and len(text) <= _LONGEST_NAME and "\0" not in text and _is_unicode(text)
        if not fits or (name == "task" and not text):
            raise InputRefused(
                f"@timed_task: {name}: expected a text of at most {_LONGEST_NAME} characters that PostgreSQL "
                f"can store{', not empty' if name == 'task' else ''}, got {text!r:.80}"
            )


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _checked_unique(task: str, unique: Sequence[str]) -> tuple[str, ...]:
    names = [] if isinstance(unique, str) else list(unique)
    if not names or not all(isinstance(name, str) for name in names):
        raise InputRefused(
            f"@timed_task {task!r}: unique: expected a list of field names, one at least, got {unique!r:.80}"
        )
    return tuple(dict.fromkeys(names))


def _check_first_parameter(task: str, signature: inspect.Signature) -> None:
    first = next(iter(signature.parameters.values()), None)
    if first is None or first.kind not in (first.POSITIONAL_ONLY, first.POSITIONAL_OR_KEYWORD):
        raise InputRefused(
            f"@timed_task {task!r}: expected a function whose first parameter is executed_data, "
            f"got {signature}"
        )
