"""Live prices: streamed to the bus and the store hour by hour, or watched for a moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed
from pydantic import AwareDatetime, Field

from flows.desk import desk_of_this_process
from missiondesk.desk import Desk
from tasks.arguments import untouched
from tasks.feeds import stream_markets, watch_markets

LONGEST_WATCH_SECONDS: Final = 300

Markets = list[str]


@flow(name="feed", persist_result=False)
def feed(markets: Markets | None = None, until: AwareDatetime | None = None) -> State[None]:
    """Stream these markets, else those of MISSIONDESK_FEED_MARKETS, to the end of the hour it is due in.

    The run of the next hour goes on. One that begins when its time is over has nothing left to do.
    """
    desk, now = desk_of_this_process(), datetime.now(UTC)
    if until is None:
        due = flow_run.scheduled_start_time or now
        until = due.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    names = _names(desk, markets)
    if not names:
        return _nothing_to_do()
    if until <= now:
        return Completed(name="Skipped", message=f"its time was over at {until:%H:%M} UTC")
    return Completed(message=stream_markets(untouched(desk), names, until))


@flow(name="watch", persist_result=False)
def watch(
    markets: Markets | None = None, seconds: Annotated[float, Field(gt=0, le=LONGEST_WATCH_SECONDS)] = 60
) -> State[None]:
    """Follow these markets, else those of MISSIONDESK_FEED_MARKETS, and show their best prices."""
    desk = desk_of_this_process()
    names = _names(desk, markets)
    if not names:
        return _nothing_to_do()
    until = datetime.now(UTC) + timedelta(seconds=seconds)
    return Completed(message=watch_markets(untouched(desk), names, until))


def _names(desk: Desk, markets: Markets | None) -> list[str]:
    return markets or list(desk.settings.feed_markets)


def _nothing_to_do() -> State[None]:
    return Completed(
        name="Skipped", message="no markets: set MISSIONDESK_FEED_MARKETS, or give the run `markets`"
    )
