"""Delivers notifications from one hub process or another."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import copy_context

from sqlalchemy import Engine

from missiondesk.components.settings import HubSettings
from missiondesk.notifications.channel import Channel, LogChannel
from missiondesk.notifications.configured import configured_mail
from missiondesk.notifications.deliverer import Deliverer
from missiondesk.store.notifications import Notifications

_LEAVE_SECONDS = 5.0


@asynccontextmanager
async def delivering(engine: Engine, settings: HubSettings) -> AsyncIterator[None]:
    """Deliver while the block lasts, in a thread of its own."""
    deliverer = Deliverer(Notifications(engine), channels(settings), settings.desk_channels)
    stop = threading.Event()
    thread = threading.Thread(
        target=copy_context().run, args=(deliverer.run, stop), name="notifications", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        await asyncio.to_thread(thread.join, _LEAVE_SECONDS)


def channels(settings: HubSettings) -> Callable[[str], Channel]:
    """How a channel is found by its name: `log`, `mail` as it is configured, else a block in Prefect."""
    reserved: dict[str, Channel] = {"log": LogChannel()}
    if (mail := configured_mail(settings)) is not None:
        reserved["mail"] = mail

    def channel_named(name: str) -> Channel:
        if name in reserved:
            return reserved[name]
        # Prefect takes seconds to import, which a process whose channels are no blocks need not pay.
        from blocks.channels import channel_of_block

        return channel_of_block(name)

    return channel_named
