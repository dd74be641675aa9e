"""The scheduled runs that were fetched ahead of time, handed out one by one when they are due."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from prefect.client.schemas.objects import FlowRun

from deployments.prefork.flow_runs import is_of_schedule
from deployments.prefork.plans import Plan, Refusal


@dataclass(frozen=True)
class DueRun:
    """A scheduled run with the time it is due and how it is to be run."""

    flow_run: FlowRun
    due: datetime
    plan: Plan | Refusal

    @property
    def id(self) -> UUID:
        return self.flow_run.id

    @property
    def of_schedule(self) -> bool:
        """Whether a schedule asked for it, and not a person or program at that moment."""
        return is_of_schedule(self.flow_run)

    @property
    def in_turn(self) -> bool:
        """Whether it waits for the run of its deployment before it, so that a backlog runs in order."""
        return self.of_schedule and isinstance(self.plan, Plan) and self.plan.configuration.in_turn

    @property
    def stage(self) -> int:
        """Above 0: it waits for what a schedule asked for in lower stages."""
        return self.plan.configuration.stage if self.of_schedule and isinstance(self.plan, Plan) else 0


class Backlog:
    """Holds what the newest poll returned, minus what was taken since the poll began."""

    def __init__(self) -> None:
        self._waiting: list[DueRun] = []
        self._in_hand: dict[UUID, DueRun] = {}
        self._released_since_poll: set[UUID] = set()
        self._changed = asyncio.Event()
        self._closed = False
        self._emptying = False

    def poll_begins(self) -> None:
        self._released_since_poll.clear()

    def replace(self, runs: Iterable[DueRun]) -> None:
        """Hold these, in this order, in place of all that wait."""
        self._waiting = [
            run for run in runs if run.id not in self._in_hand and run.id not in self._released_since_poll
        ]
        self._changed.set()

    async def take(self) -> DueRun | None:
        """The first run that is due, as soon as there is one; None when no more are to be taken."""
        while not self._closed:
            now = datetime.now(UTC)
            for run in self._waiting:
                if run.due <= now and not self._must_wait(run, now):
                    self._waiting.remove(run)
                    self._in_hand[run.id] = run
                    return run
            if self._emptying and not self._waiting:
                return None
            self._changed.clear()
            await self._wait_until(min((run.due for run in self._waiting if run.due > now), default=None))
        return None

    def release(self, run: DueRun) -> None:
        """What was taken is done with."""
        del self._in_hand[run.id]
        self._released_since_poll.add(run.id)
        self._changed.set()

    def close(self, *, when_empty: bool = False) -> None:
        """Hand out no more, at once or after the last run that waits."""
        self._emptying, self._closed = when_empty, not when_empty
        self._changed.set()

    def _must_wait(self, run: DueRun, now: datetime) -> bool:
        if run.in_turn and any(
            other.flow_run.deployment_id == run.flow_run.deployment_id for other in self._in_hand.values()
        ):
            return True
        return any(0 < other.stage < run.stage and other.due <= now for other in self._waiting)

    async def _wait_until(self, due: datetime | None) -> None:
        try:
            async with asyncio.timeout(None if due is None else (due - datetime.now(UTC)).total_seconds()):
                await self._changed.wait()
        except TimeoutError:
            pass
