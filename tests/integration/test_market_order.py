"""The order that the steps of a refresh keep: what was half done is never read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from missiondesk.refresh.order import RefreshFailed, wait_for_predecessor
from missiondesk.refresh.steps import Step
from missiondesk.store.database import connect
from missiondesk.store.market.ledger import Standing, begin_step, end_step, sign_of_life, standing

HOUR = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = connect(database_url)
    yield engine
    engine.dispose()


def test_a_step_waits_until_the_one_before_it_has_finished(engine: Engine) -> None:
    begin_step(engine, "run", Step.OHLC, HOUR)
    pauses: list[float] = []

    def finish_at_the_third(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            end_step(engine, "run", Step.OHLC, report={})

    with sign_of_life(engine, "run", Step.OHLC):
        wait_for_predecessor(engine, Step.INDICATORS, HOUR, scheduled=True, sleep=finish_at_the_third)
    assert len(pauses) == 3
    assert standing(engine, Step.OHLC, HOUR) is Standing.SUCCEEDED


@pytest.mark.parametrize(
    ("before", "scheduled", "problem"),
    [
        (None, True, "it is absent"),
        (None, False, None),
        (Standing.RUNNING, True, "it is running"),
        (Standing.RUNNING, False, "it is running"),
        (Standing.FAILED, True, "ohlc failed"),
        (Standing.FAILED, False, None),
        (Standing.CUT_OFF, True, "ohlc was cut off"),
        (Standing.CUT_OFF, False, None),
        (Standing.SUCCEEDED, True, None),
        (Standing.SUCCEEDED, False, None),
    ],
)
def test_the_wait_is_bounded(
    engine: Engine, before: Standing | None, scheduled: bool, problem: str | None
) -> None:
    if before is not None:
        begin_step(engine, "run", Step.OHLC, HOUR)
    if before in (Standing.FAILED, Standing.SUCCEEDED):
        end_step(
            engine, "run", Step.OHLC, report={}, error="no answer" if before is Standing.FAILED else None
        )
    # A step of another hour is no answer.
    begin_step(engine, "earlier", Step.OHLC, HOUR - timedelta(hours=1))
    ticks = iter(range(1000))

    def wait() -> None:
        wait_for_predecessor(
            engine,
            Step.INDICATORS,
            HOUR,
            scheduled=scheduled,
            longest_seconds=5,
            sleep=lambda seconds: None,
            clock=lambda: float(next(ticks)),
        )

    alive = sign_of_life(engine, "run", Step.OHLC) if before is Standing.RUNNING else nullcontext()
    expected = nullcontext() if problem is None else pytest.raises(RefreshFailed, match=problem)
    with alive, expected:
        wait()
