"""What the routes work on: the stores of one database, written to in the name of the client."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy import Engine

from missiondesk.settings import Settings
from missiondesk.store.conditions import Conditions
from missiondesk.store.missions import Missions
from missiondesk.store.results import Results
from missiondesk.store.tasks import Tasks


@dataclass(frozen=True)
class Stores:
    """`actor` is whom the audit names for what is written."""

    engine: Engine
    settings: Settings
    actor: str

    @cached_property
    def missions(self) -> Missions:
        return Missions(self.engine, self.actor)

    @cached_property
    def tasks(self) -> Tasks:
        return Tasks(self.engine, self.actor)

    @cached_property
    def conditions(self) -> Conditions:
        return Conditions(self.engine)

    @cached_property
    def results(self) -> Results:
        return Results(self.engine)


async def _stores(request: Request) -> Stores:
    client = request.client.host if request.client is not None else "an unknown address"
    state = request.app.state
    return Stores(state.engine, state.settings, f"HTTP API from {client}")


DeskStores = Annotated[Stores, Depends(_stores)]
