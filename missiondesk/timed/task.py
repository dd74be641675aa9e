"""A timed task: a function that is called once for each item, and what one call of it does."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from inspect import BoundArguments
from typing import Any

from missiondesk.timed.begin import TimedCall, begin
from missiondesk.timed.claimed import Claimed
from missiondesk.timed.items import Group
from missiondesk.timed.outcome import TimedOutcome
from models.errors import InputRefused
from models.timed import TimedNames


@dataclass(frozen=True)
class TimedTask:
    """`function` is what was decorated, maybe a Prefect flow; `signature` is of the plain function in it."""

    function: Callable[..., Any]
    signature: inspect.Signature
    is_async: bool
    names: TimedNames
    unique: tuple[str, ...]
    repeatable: bool

    def call(self, now: datetime, *args: Any, **kwargs: Any) -> TimedOutcome:
        """What calling the decorated function at `now` does; takes its arguments.

        Raises InputRefused with nothing claimed, and what the function raised, once every timestamp had its
        turn.
        """
        given = self.signature.bind(*args, **kwargs)
        claimed, rest = begin(self._timed_call(given), now)
        return self._run(claimed, rest, given.args[1:], given.kwargs)

    async def call_async(self, now: datetime, *args: Any, **kwargs: Any) -> TimedOutcome:
        """The same for an async function."""
        given = self.signature.bind(*args, **kwargs)
        claimed, rest = await asyncio.to_thread(begin, self._timed_call(given), now)
        return await self._run_async(claimed, rest, given.args[1:], given.kwargs)

    def run(self, claimed: Claimed, args: Sequence[Any], kwargs: Mapping[str, Any]) -> TimedOutcome:
        """Hand over what was claimed elsewhere, with the arguments that came with it; blocking."""
        if self.is_async:
            return asyncio.run(self._run_async(claimed, TimedOutcome(), args, kwargs))
        return self._run(claimed, TimedOutcome(), args, kwargs)

    def _timed_call(self, given: BoundArguments) -> TimedCall:
        if not given.args:
            raise InputRefused(
                f"timed task {self.names.task!r}: expected executed_data, {{timestamp: [{{…}}, …]}}, got none"
            )
        return TimedCall(
            self.names, self.unique, self.repeatable, given.args[0], given.args[1:], given.kwargs
        )

    def _run(
        self, claimed: Claimed, rest: TimedOutcome, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> TimedOutcome:
        with claimed:
            for group in claimed.groups():
                with claimed.running(group):
                    claimed.results[group.timestamp] = self.function(_handed(group), *args, **kwargs)
        return _ended(claimed, rest)

    async def _run_async(
        self, claimed: Claimed, rest: TimedOutcome, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> TimedOutcome:
        with claimed:
            for group in claimed.groups():
                with claimed.running(group):
                    claimed.results[group.timestamp] = await self.function(_handed(group), *args, **kwargs)
        return _ended(claimed, rest)


def _handed(group: Group) -> dict[Any, list[Mapping[str, Any]]]:
    return {group.timestamp: list(group.items.values())}


def _ended(claimed: Claimed, rest: TimedOutcome) -> TimedOutcome:
    claimed.raise_failure()
    return replace(
        rest,
        results=claimed.results,
        ran=claimed.ran,
        skipped=rest.skipped + claimed.lost,
        expired=claimed.expired,
    )
