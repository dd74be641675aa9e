"""A step waits for the one before it: it never reads rows that are being written."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Final, assert_never

from sqlalchemy import Engine

from missiondesk.refresh.steps import Step
from missiondesk.store.market.ledger import Standing, standing
from models.errors import MissiondeskError

LONGEST_WAIT_SECONDS: Final = 240.0
"""Less than the time limit of every step."""

_PAUSE_SECONDS: Final = 1.0


class RefreshFailed(MissiondeskError):
    """A step of a refresh failed, and those after it did not run; what was written before stands."""


def hour_of(instant: datetime) -> datetime:
    """The hour that a refresh at this instant is for."""
    return instant.replace(minute=0, second=0, microsecond=0)


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
    waits while the step before it is running. Raises RefreshFailed when that failed, or took too long.
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
            case Standing.FAILED if scheduled:
                raise RefreshFailed(f"{step} did not run: {before} failed for {hour:%Y-%m-%d %H:%M} UTC")
            case Standing.ABSENT | Standing.FAILED if not scheduled:
                return
            case Standing.ABSENT | Standing.RUNNING | Standing.FAILED:
                pass
            case _:
                assert_never(found)
        if clock() >= give_up_at:
            raise RefreshFailed(
                f"{step} did not run: expected {before} to finish for {hour:%Y-%m-%d %H:%M} UTC within "
                f"{longest_seconds:g} s, it is {found}"
            )
        sleep(_PAUSE_SECONDS)
