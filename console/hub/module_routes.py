"""`/module/…`: register, see who is online, send a message, close a connection."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from console.hub.answers import EnvelopeRoute, done, json_object
from console.hub.services import HubServices
from missiondesk.components.registry import data_of_text
from models.component import Presence
from models.errors import InputRefused

router = APIRouter(prefix="/module", tags=["components"], route_class=EnvelopeRoute)

Body = Annotated[dict[str, Any], Depends(json_object)]


@router.get("/register")
def register(
    services: HubServices,
    name: str = "",
    description: str = "",
    input_data: str = "",
    output_data: str = "",
    model_hash: Annotated[str, Query(alias="modelHash")] = "",
    priority: Annotated[int, Query(ge=-1000, le=1000)] = 0,
) -> dict[str, Any]:
    """Register a module; it then connects to `/websocket?hash=…`. `input_data` may hold data requirements."""
    registered = services.registry.register(
        name,
        description,
        model_hash,
        input_data=data_of_text(input_data),
        output_data=data_of_text(output_data),
        priority=priority,
    )
    return done({"hash": registered.hash, "module_id": registered.id})


@router.get("/online")
def online(services: HubServices) -> dict[str, Any]:
    """The modules that are connected now."""
    return done([_row(presence) for presence in services.registry.online()])


@router.post("/send_message")
def send_message(services: HubServices, body: Body) -> dict[str, Any]:
    """Hand `message` over to a connected module as it is."""
    if "message" not in body:
        raise InputRefused("message: expected a text or a value, got none")
    found = services.registry.find(_reference(body))
    services.registry.session_of(found.id)
    services.commands.send_message(found.id, body["message"])
    return done({"message": body["message"]})


@router.post("/close_websocket")
def close_websocket(services: HubServices, body: Body) -> dict[str, Any]:
    """Close a module's connection; it may connect again."""
    found = services.registry.close_connection(_reference(body))
    return done({"module_id": found.id, "module_hash": found.hash})


def _reference(body: dict[str, Any]) -> str | int:
    if isinstance(module_hash := body.get("module_hash"), str) and module_hash:
        return module_hash
    module_id = body.get("module_id")
    if isinstance(module_id, str) and module_id.isascii() and module_id.isdigit() and len(module_id) < 20:
        return int(module_id)
    if isinstance(module_id, int) and not isinstance(module_id, bool):
        return module_id
    raise InputRefused("expected module_hash or module_id, got neither")


def _row(presence: Presence) -> dict[str, Any]:
    return {
        "module_id": presence.component_id,
        "name": presence.name,
        "description": presence.description,
        "priority": presence.priority,
        "module_hash": presence.hash,
        "last_execution_time": _shown(presence.last_execution_at),
        "alive": presence.online,
        "session_id": str(presence.session_id),
        "last_alive_time": _shown(presence.last_seen_at),
        "last_login_time": _shown(presence.last_login_at),
    }


def _shown(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat()
