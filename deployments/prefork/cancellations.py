"""Hears when someone cancels a flow run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

from prefect.events.clients import get_events_subscriber
from prefect.events.filters import EventFilter, EventNameFilter
from prefect.logging import get_logger

CANCELLING = "prefect.flow-run.Cancelling"
RESOURCE_PREFIX = "prefect.flow-run."
SECONDS_TO_RECONNECT = 2.0

_log = get_logger("workers.prefork")


async def watch_cancellations(
    on_cancelling: Callable[[UUID], None], on_connected: Callable[[], Awaitable[None]]
) -> None:
    """Report each flow run of the server that is being cancelled, until this task is cancelled.

    One websocket for all runs. `on_connected` is called after each (re)connection: what happened before it
    went unheard.
    """
    event_filter = EventFilter(event=EventNameFilter(name=[CANCELLING]))
    while True:
        try:
            async with get_events_subscriber(filter=event_filter) as events:
                await on_connected()
                async for event in events:
                    resource_id = event.resource["prefect.resource.id"]
                    on_cancelling(UUID(resource_id.removeprefix(RESOURCE_PREFIX)))
        except Exception as error:
            _log.warning("Cancellations go unheard until the server's events can be read again: %s", error)
        await asyncio.sleep(SECONDS_TO_RECONNECT)
