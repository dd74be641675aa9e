"""An app that is the hub alone, and how uvicorn has to be set for any app with the hub in it."""

from __future__ import annotations

import logging
import resource
from typing import Any

from fastapi import FastAPI

from console.api.access import guard
from console.hub.impatient_http import ImpatientHttp
from console.hub.patient_websocket import PatientWebSocket
from console.hub.routes import router
from missiondesk.settings import Settings
from missiondesk.store.database import connect

# A peer that sends nothing for 120 s in all is offline. Pings are frequent, so that the silence of one that
# answers none while it works begins with its work. Compression would cost each idle socket 30 kB.
UVICORN_OPTIONS: dict[str, Any] = {
    "http": ImpatientHttp,
    "ws": PatientWebSocket,
    "ws_ping_interval": 20.0,
    "ws_ping_timeout": 100.0,
    "ws_max_size": 1_048_576,
    "ws_per_message_deflate": False,
    "timeout_graceful_shutdown": 10,
    "access_log": False,
    "log_config": None,
}


def create_hub_app(settings: Settings) -> FastAPI:
    """Raises InvalidSetting for settings of mail, or of the pro environment, that are missing."""
    app = FastAPI(title="missiondesk hub", docs_url=None, redoc_url=None)
    app.state.settings = settings
    app.state.engine = connect(settings.database_url.get_secret_value())
    app.include_router(router)
    guard(app, settings)
    return app


def prepare_process() -> None:
    """Allow this process as many sockets as the system does, and keep tokens in addresses out of its log."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    logging.getLogger("uvicorn.error").addFilter(_names_no_websocket)


def _names_no_websocket(record: logging.LogRecord) -> bool:
    # uvicorn logs each websocket with its whole address, which may hold the token, and then that it is open.
    said = str(record.msg)
    return not said.startswith(('%s - "WebSocket', "connection open", "connection closed"))
