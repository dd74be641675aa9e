from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from prefect.client.schemas.objects import FlowRun

from deployments.prefork.backlog import Backlog, DueRun
from deployments.prefork.configuration import PreforkJobConfiguration
from deployments.prefork.plans import Plan

DEPLOYMENT = uuid4()


def run_due(
    seconds: float,
    *,
    in_turn: bool = False,
    stage: int = 0,
    of_schedule: bool = True,
    deployment_id: UUID = DEPLOYMENT,
) -> DueRun:
    return DueRun(
        FlowRun(id=uuid4(), flow_id=uuid4(), deployment_id=deployment_id, auto_scheduled=of_schedule),
        datetime.now(UTC) + timedelta(seconds=seconds),
        Plan("a.b", None, PreforkJobConfiguration(in_turn=in_turn, stage=stage)),
    )


async def taken_at_once(backlog: Backlog) -> DueRun | None:
    """What is taken without waiting; TimeoutError when nothing is due."""
    async with asyncio.timeout(0.05):
        return await backlog.take()


def test_runs_are_taken_in_the_order_given_each_when_it_is_due() -> None:
    async def scenario() -> None:
        backlog = Backlog()
        later, first, second = run_due(0.3), run_due(-1), run_due(-2)
        backlog.replace([later, first, second])
        assert await taken_at_once(backlog) is first
        assert await taken_at_once(backlog) is second
        with pytest.raises(TimeoutError):
            await taken_at_once(backlog)
        assert await backlog.take() is later
        assert datetime.now(UTC) >= later.due

    asyncio.run(scenario())


def test_a_new_poll_wakes_who_waits() -> None:
    async def scenario() -> None:
        backlog = Backlog()
        waiting = asyncio.create_task(backlog.take())
        await asyncio.sleep(0)
        run = run_due(-1)
        backlog.replace([run])
        assert await waiting is run

    asyncio.run(scenario())


def test_a_poll_that_began_before_does_not_bring_back_what_was_taken() -> None:
    async def scenario() -> None:
        backlog = Backlog()
        in_hand, done, other = run_due(-1), run_due(-1), run_due(-1)
        backlog.replace([in_hand, done])
        await backlog.take()
        backlog.poll_begins()
        await backlog.take()
        backlog.release(done)
        backlog.replace([in_hand, done, other])
        assert await taken_at_once(backlog) is other
        with pytest.raises(TimeoutError):
            await taken_at_once(backlog)
        # Given back meanwhile, it may come again with a poll that begins later.
        backlog.poll_begins()
        backlog.replace([done])
        assert await taken_at_once(backlog) is done

    asyncio.run(scenario())


def test_runs_in_turn_go_one_after_the_other() -> None:
    async def scenario() -> None:
        backlog = Backlog()
        first, second = run_due(-120, in_turn=True), run_due(-60, in_turn=True)
        ad_hoc = run_due(-60, in_turn=True, of_schedule=False)
        backlog.replace([first, second, ad_hoc])
        assert await taken_at_once(backlog) is first
        assert await taken_at_once(backlog) is ad_hoc
        backlog.release(ad_hoc)
        with pytest.raises(TimeoutError):
            await taken_at_once(backlog)
        backlog.release(first)
        assert await taken_at_once(backlog) is second

    asyncio.run(scenario())


def test_lower_stages_that_are_due_begin_before_more_urgent_higher_ones() -> None:
    async def scenario() -> None:
        backlog = Backlog()
        third, second, first = run_due(-1, stage=3), run_due(-1, stage=2), run_due(-1, stage=1)
        asked_for, mission, not_due = (
            run_due(-1, stage=3, of_schedule=False),
            run_due(-1),
            run_due(60, stage=1),
        )
        backlog.replace([third, mission, second, asked_for, first, not_due])
        order = [await taken_at_once(backlog) for _ in range(5)]
        assert order == [mission, asked_for, first, second, third]

    asyncio.run(scenario())


def test_closed_it_hands_out_nothing_or_only_the_rest() -> None:
    async def scenario() -> None:
        closed, emptying = Backlog(), Backlog()
        rest = run_due(0.1)
        for backlog in (closed, emptying):
            backlog.replace([rest])
        waiting = asyncio.create_task(closed.take())
        await asyncio.sleep(0)
        closed.close()
        assert await waiting is None
        emptying.close(when_empty=True)
        assert await emptying.take() is rest
        assert await emptying.take() is None

    asyncio.run(scenario())
