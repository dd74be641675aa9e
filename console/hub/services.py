"""What the hub's routes work on, made of the app's settings and engine."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request
from sqlalchemy import Engine

from missiondesk.components.commands import Commands
from missiondesk.components.registry import Registry
from missiondesk.components.workflows import Workflows
from missiondesk.settings import Settings

if TYPE_CHECKING:
    from console.hub.scheduler import Scheduler


@dataclass(frozen=True)
class Services:
    engine: Engine
    settings: Settings

    @cached_property
    def registry(self) -> Registry:
        return Registry(self.engine)

    @cached_property
    def commands(self) -> Commands:
        return Commands(self.engine, self.settings.database_url.get_secret_value())

    @cached_property
    def workflows(self) -> Workflows:
        return Workflows(self.engine, "module API")

    @cached_property
    def scheduler(self) -> Scheduler:
        # Prefect takes seconds to import, which a process that only serves components need not pay.
        from console.hub.scheduler import Scheduler

        return Scheduler(self.engine)


async def _services(request: Request) -> Services:
    return Services(request.app.state.engine, request.app.state.settings)


HubServices = Annotated[Services, Depends(_services)]
