"""What the worker asks and tells Prefect's API about flow runs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterParentFlowRunId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.responses import SetStateStatus, WorkerFlowRunResponse
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Cancelling, Crashed, Failed, Pending, Scheduled

PAGE = 200  # what the API answers at the most
UNFINISHED = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]

_CLAIM = re.compile(r"\[([0-9a-f]{32})\]$")


class FlowRuns:
    """The flow runs of one work pool, seen by the worker whose `token` marks its claims."""

    def __init__(
        self, client: PrefectClient, pool: str, queues: Iterable[str], worker: str, token: str
    ) -> None:
        self._client = client
        self._pool = pool
        self._queues = sorted(queues)
        self._claim_message = f"Claimed by {worker} [{token}]"

    async def scheduled(self, before: datetime, after: datetime | None = None) -> list[WorkerFlowRunResponse]:
        """At most PAGE runs scheduled in that time, by priority of their queue, then by time."""
        body = {"work_queue_names": self._queues, "scheduled_before": before.isoformat(), "limit": PAGE}
        if after is not None:
            body["scheduled_after"] = after.isoformat()
        try:
            response = await self._client.request(
                "POST",
                "/work_pools/{name}/get_scheduled_flow_runs",
                path_params={"name": self._pool},
                json=body,
            )
        except httpx.HTTPStatusError as error:
            if error.response.status_code == httpx.codes.NOT_FOUND:
                return []  # someone deleted the pool; it may come back
            raise
        return WorkerFlowRunResponse.model_validate_list(response.json())

    async def claim(self, flow_run_id: UUID) -> bool:
        """Make the run this worker's own; False when it is no longer there to take."""
        # When the answer to a claim is lost, Prefect's client repeats it and finds the run taken: by us.
        return await self._move_scheduled(
            flow_run_id, Pending(message=self._claim_message)
        ) or await self.is_claimed(flow_run_id)

    async def is_claimed(self, flow_run_id: UUID) -> bool:
        """Whether this worker holds the run and it has not begun."""
        state = await self._state(flow_run_id)
        return state is not None and state.is_pending() and state.message == self._claim_message

    async def refuse(self, flow_run_id: UUID, problem: str) -> bool:
        """End a run that can't be started as it stands; False when it is no longer there."""
        return await self._move_scheduled(flow_run_id, Failed(message=problem))

    async def _move_scheduled(self, flow_run_id: UUID, state: State[None]) -> bool:
        # Prefect lets a finished run become Pending again, and what we fetched seconds ago may have been run
        # by another worker since. This call filters by the present state.
        response = await self._client.request(
            "POST",
            cast(Any, "/flow_runs/bulk_set_state"),  # the client's own list of routes lacks this one
            json={
                "flow_runs": FlowRunFilter(
                    id=FlowRunFilterId(any_=[flow_run_id]), state=_state_in([StateType.SCHEDULED])
                ).model_dump(mode="json", exclude_unset=True),
                "state": state.model_dump(mode="json", include={"type", "name", "message"}),
            },
        )
        return any(result["status"] == SetStateStatus.ACCEPT for result in response.json()["results"])

    async def give_back(self, flow_run: FlowRun) -> None:
        """Let a claimed run that never began be claimed again, for the time it was scheduled for."""
        due = flow_run.next_scheduled_start_time or flow_run.expected_start_time or datetime.now(UTC)
        with suppress(ObjectNotFound):
            await self._client.set_flow_run_state(flow_run.id, Scheduled(scheduled_time=due))

    async def cancel(self, flow_run_id: UUID, message: str) -> None:
        """Mark a run as being cancelled; whoever runs it hears of it."""
        with suppress(ObjectNotFound):
            await self._client.set_flow_run_state(flow_run_id, Cancelling(message=message))

    async def settle(self, flow_run_id: UUID, message: str) -> State[Any] | None:
        """End a run whose process is gone, unless its state says it is over or waits for something.

        Returns the state that it was given: Cancelled when that was asked for, else Crashed.
        """
        state = await self._state(flow_run_id)
        if state is None or state.type not in UNFINISHED:
            return None
        end: State[Any] = (Cancelled if state.is_cancelling() else Crashed)(message=message)
        with suppress(ObjectNotFound):
            await self._client.set_flow_run_state(flow_run_id, end)
        return end

    async def settle_inside(self, flow_run_id: UUID, message: str) -> None:
        """End the subflows and task runs of a run whose process is gone, and theirs."""
        for subflow in await self._client.read_flow_runs(
            flow_run_filter=FlowRunFilter(
                parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[flow_run_id]),
                state=_state_in(UNFINISHED),
            )
        ):
            await self.settle(subflow.id, message)
            await self.settle_inside(subflow.id, message)
        for task_run in await self._client.read_task_runs(
            flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id])),
            task_run_filter=TaskRunFilter(
                state=TaskRunFilterState(type=TaskRunFilterStateType(any_=UNFINISHED))
            ),
        ):
            with suppress(ObjectNotFound):
                await self._client.set_task_run_state(task_run.id, Crashed(message=message), force=True)

    async def cancelling(self, flow_run_ids: Iterable[UUID]) -> list[UUID]:
        """Those of them that someone cancels."""
        found = await self._client.read_flow_runs(
            flow_run_filter=FlowRunFilter(
                id=FlowRunFilterId(any_=list(flow_run_ids)), state=_state_in([StateType.CANCELLING])
            )
        )
        return [flow_run.id for flow_run in found]

    async def unfinished(self) -> list[tuple[FlowRun, str | None]]:
        """The pool's runs that someone claimed and that are not over, each with the token of its claim."""
        found: list[tuple[FlowRun, str | None]] = []
        while True:
            page = await self._client.read_flow_runs(
                work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[self._pool])),
                flow_run_filter=FlowRunFilter(state=_state_in(UNFINISHED)),
                sort=FlowRunSort.EXPECTED_START_TIME_ASC,
                limit=PAGE,
                offset=len(found),
            )
            found.extend([(flow_run, await self._claimed_by(flow_run)) for flow_run in page])
            if len(page) < PAGE:
                return found

    async def _state(self, flow_run_id: UUID) -> State[Any] | None:
        try:
            return (await self._client.read_flow_run(flow_run_id)).state
        except ObjectNotFound:
            return None

    async def _claimed_by(self, flow_run: FlowRun) -> str | None:
        states = await self._client.read_flow_run_states(flow_run.id)
        states.sort(key=lambda state: state.timestamp)
        claims = (_CLAIM.search(state.message or "") for state in states if state.is_pending())
        tokens = [claim[1] for claim in claims if claim]
        return tokens[-1] if tokens else None


def is_of_schedule(flow_run: FlowRun) -> bool:
    """Whether a schedule asked for the run, and not a person or program at that moment."""
    # Who makes the run of a due instant in place of the scheduler gives it the scheduler's kind of key.
    return flow_run.auto_scheduled or (flow_run.idempotency_key or "").startswith("scheduled ")


def _state_in(types: list[StateType]) -> FlowRunFilterState:
    return FlowRunFilterState(type=FlowRunFilterStateType(any_=types))
