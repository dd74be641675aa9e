"""The app: all routes behind one access check, all errors in one shape."""

from __future__ import annotations

from http import HTTPStatus
from importlib.metadata import version

from fastapi import FastAPI

from console.api import (
    components,
    conditions,
    health,
    manual_update,
    market,
    metrics,
    missions,
    reference,
    results,
    tasks,
    templates,
)
from console.api.access import guard
from console.api.refusals import answer_errors, documented
from console.hub import routes as hub
from missiondesk.settings import Settings
from missiondesk.store.database import connect

# What a monitor and a browser ask for without showing a token; it says nothing about the desk's business.
OPEN_PATHS = (health.PATH, reference.PATH, "/openapi.json")

_ROUTERS = (
    missions.router,
    tasks.router,
    conditions.router,
    templates.router,
    results.router,
    market.router,
    manual_update.router,
    components.router,
    metrics.router,
    health.router,
    reference.router,
    hub.router,
)


def create_app(settings: Settings) -> FastAPI:
    """Connects to the database at the first request. A token is asked for if MISSIONDESK_API_TOKEN is set.

    Raises InvalidSetting for settings of mail, or of the pro environment, that are missing.
    """
    app = FastAPI(
        title="missiondesk",
        version=version("missiondesk"),
        summary="Missions, Tasks, Conditions, results and market data of one desk.",
        docs_url=None,  # FastAPI's page comes from another site
        redoc_url=None,
        responses=documented(
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.UNAUTHORIZED,
            HTTPStatus.FORBIDDEN,
            HTTPStatus.UNPROCESSABLE_ENTITY,
        ),
    )
    app.state.settings = settings
    app.state.engine = connect(settings.database_url.get_secret_value())
    app.state.metrics = metrics.DeskMetrics(app.state.engine)
    app.state.routes = [route for router in _ROUTERS for route in router.routes]
    for router in _ROUTERS:
        app.include_router(router)
    answer_errors(app)
    guard(app, settings, OPEN_PATHS)
    return app
