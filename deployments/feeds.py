"""The deployments of live prices: a feed, which goes on hour by hour where markets are set, and a watch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from deployments.missions import WORK_POOL
from deployments.spec import OWNED_TAG, DeploymentSpec, ScheduleSpec
from flows.feeds import LONGEST_WATCH_SECONDS

FEED_DEPLOYMENT: Final = "feed/desk"

QUEUES: Final = {"feeds": 7, "watches": 8}
"""Work queue → priority. One run of each at a time, so that ticks keep the rest of the worker's children."""
RUNS_AT_ONCE: Final = dict.fromkeys(QUEUES, 1)

_HOUR_SECONDS: Final = 3600
_MARGIN_SECONDS: Final = 120


def feed_flows(markets: Sequence[str]) -> tuple[DeploymentSpec, ...]:
    """markets: what is fed without being asked for; none: only runs that someone starts."""
    hourly = (ScheduleSpec("hourly", "0 * * * *", "UTC", True),) if markets else ()
    return (
        DeploymentSpec(
            key="flow:feed",
            flow_name="feed",
            name="desk",
            entrypoint="flows.feeds.feed",
            parameters={},
            work_pool=WORK_POOL,
            work_queue="feeds",
            schedules=hourly,
            description="Streams prices to the bus and the store, to the end of its hour.",
            tags=(OWNED_TAG,),
            job_variables={"timeout_seconds": _HOUR_SECONDS + _MARGIN_SECONDS, "ends_with_worker": True},
        ),
        DeploymentSpec(
            key="flow:watch",
            flow_name="watch",
            name="desk",
            entrypoint="flows.feeds.watch",
            parameters={},
            work_pool=WORK_POOL,
            work_queue="watches",
            schedules=(),
            description="Follows markets for a moment and shows their best prices.",
            tags=(OWNED_TAG,),
            job_variables={
                "timeout_seconds": LONGEST_WATCH_SECONDS + _MARGIN_SECONDS,
                "ends_with_worker": True,
            },
        ),
    )
