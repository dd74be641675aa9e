"""All that the hub adds to an app: `app.include_router(router)`, with `state.settings` and `state.engine`.

The router's lifespan runs the hub of this process; its websockets are served while the app is. It raises
InvalidSetting when mail is configured in part, or the pro environment lacks what it needs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from fastapi import APIRouter, FastAPI
from sqlalchemy import Engine

from console.hub import module_routes, workflow_routes
from console.hub.delivering import delivering
from console.hub.hub import Hub
from console.hub.socket import serve_websocket
from missiondesk.components.settings import HubSettings
from missiondesk.components.workflows import Workflows

log = logging.getLogger(__name__)


@asynccontextmanager
async def _hub_of(app: FastAPI) -> AsyncIterator[None]:
    hub_settings = HubSettings.load()
    app.state.hub = Hub(app.state.settings.database_url.get_secret_value())
    async with app.state.hub.running(), delivering(app.state.engine, hub_settings):
        if app.state.hub.serving:
            await asyncio.to_thread(_renew_crontabs, app.state.engine)
        yield


def _renew_crontabs(engine: Engine) -> None:
    """After a long downtime dated lines would name the wrong year's days."""
    try:
        Workflows(engine, "hub").refresh_dated(datetime.now(UTC))
    except Exception:  # whatever it is, modules are served
        log.exception("crontabs were not renewed; the flow renew-crontabs tries again")


router = APIRouter(lifespan=_hub_of)
router.include_router(module_routes.router)
router.include_router(workflow_routes.router)
router.add_websocket_route("/websocket", serve_websocket)
