"""A step waits for the one before it: it never reads rows that are being written."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, assert_never

from sqlalchemy import Engine

from missiondesk.refresh.steps import Step
from missiondesk.store.market.ledger import Standing, begin_step, end_step, sign_of_life, standing
from missiondesk.time_limit import time_limit
from models.errors import MissiondeskError

WHOLE_SECONDS: Final = 30 * 60
"""The longest that a refresh may take."""

LONGEST_WAIT_SECONDS: Final = 240.0
"""For the step before; then a step has `work_seconds` of its own."""

_PAUSE_SECONDS: Final = 1.0


class RefreshFailed(MissiondeskError):
    """A step of a refresh failed, and those after it did not run; what was written before stands."""


def work_seconds(step: Step) -> float:
    """The longest that a step may work."""
    return 10 * 60 if step is Step.OHLC else 5 * 60


def longest_seconds(step: Step) -> float:
    """The longest that a step may take with its wait."""
    return work_seconds(step) + (LONGEST_WAIT_SECONDS if step.predecessor else 0)


def hour_of(instant: datetime) -> datetime:
    """The hour that a refresh at this instant is for."""
    return instant.replace(minute=0, second=0, microsecond=0)


def run_step(
    engine: Engine,
    run: str,
    step: Step,
    hour: datetime,
    work: Callable[[], dict[str, Any]],
    *,
    scheduled: bool,
) -> dict[str, Any]:
    """Do the step's work in its turn and note how it ended; `work` answers its report.

    Raises RefreshFailed when its turn does not come, TookTooLong, and whatever `work` raises.
    """
    wait_for_predecessor(engine, step, hour, scheduled=scheduled)
    with sign_of_life(engine, run, step):
        begin_step(engine, run, step, hour)
        try:
            with time_limit(work_seconds(step)):
                report = work()
        except Exception as error:
            end_step(engine, run, step, error=str(error) or type(error).__name__)
            raise
        end_step(engine, run, step, report=report)
    return report


def wait_for_predecessor(
    engine: Engine,
    step: Step,
    hour: datetime,
    *,
    scheduled: bool,
    longest_seconds: float = LONGEST_WAIT_SECONDS,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Return when the step before this one has finished for the hour.

    A scheduled run needs it to succeed in this hour. One that someone asked for takes what is there, and only
    waits while the step before it is running. Raises RefreshFailed when that failed, was cut off or took too
    long.
    """
    before = step.predecessor
    if before is None:
        return
    give_up_at = clock() + longest_seconds
    while True:
        found = standing(engine, before, hour)
        match found:
            case Standing.SUCCEEDED:
                return
            case Standing.FAILED | Standing.CUT_OFF if scheduled:
                how = "failed" if found is Standing.FAILED else "was cut off"
                raise RefreshFailed(f"{step} did not run: {before} {how} for {hour:%Y-%m-%d %H:%M} UTC")
            case Standing.ABSENT | Standing.FAILED | Standing.CUT_OFF if not scheduled:
                return
            case Standing.ABSENT | Standing.RUNNING | Standing.FAILED | Standing.CUT_OFF:
                pass
            case _:
                assert_never(found)
        if clock() >= give_up_at:
            raise RefreshFailed(
                f"{step} did not run: expected {before} to finish for {hour:%Y-%m-%d %H:%M} UTC within "
                f"{longest_seconds:g} s, it is {found}"
            )
        sleep(_PAUSE_SECONDS)
