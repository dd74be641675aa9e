"""`/websocket?hash=…`: one component's connection, from its handshake to its end."""

from __future__ import annotations

import logging

from starlette.websockets import WebSocket, WebSocketDisconnect

from console.hub.frames import (
    Ping,
    Silence,
    error_frame,
    pong_frame,
    read_frame,
    receipt_frame,
)
from console.hub.hub import POLICY, RESTART, Hub, HubAway
from console.hub.line import Line
from missiondesk.components.switchboard import Report
from models.errors import InputRefused

log = logging.getLogger(__name__)

LONGEST_WORD = 200
LARGEST_CAPACITY = 100

# A module that says so many things in a row that can't be read is not spoken with any longer.
MOST_ERRORS = 100


async def serve_websocket(websocket: WebSocket) -> None:
    """Hold the connection of a registered component; every refusal is a close with its reason."""
    await websocket.accept()
    try:
        line = await _open(websocket)
    except InputRefused as error:
        await _refuse(websocket, POLICY, str(error))
        return
    except HubAway as error:
        await _refuse(websocket, RESTART, str(error))
        return
    hub: Hub = websocket.app.state.hub
    reason = "broken"
    try:
        reason = await _listen(websocket, hub, line)
    finally:
        await hub.close(line, reason)


async def _open(websocket: WebSocket) -> Line:
    given = websocket.query_params
    component_hash = given.get("hash", "")
    if not component_hash or len(component_hash) > LONGEST_WORD or "\0" in component_hash:
        raise InputRefused("hash: expected the one that /module/register gave, got none")
    instance = given.get("instance") or None
    if instance is not None and (len(instance) > LONGEST_WORD or not instance.isprintable()):
        raise InputRefused(f"instance: expected up to {LONGEST_WORD} printable characters")
    room = given.get("capacity", "1")
    if not (room.isascii() and room.isdigit() and len(room) < 4 and 1 <= int(room) <= LARGEST_CAPACITY):
        raise InputRefused(f"capacity: expected 1 to {LARGEST_CAPACITY}, got {room[:20]!r}")
    if int(room) > 1 and instance is None:
        raise InputRefused("capacity: expected 1 without an instance, because reports then name no command")
    line: Line | None = await websocket.app.state.hub.open(websocket, component_hash, instance, int(room))
    if line is None:
        raise InputRefused(f"unknown hash {component_hash[:64]!r}: register first")
    return line


async def _listen(websocket: WebSocket, hub: Hub, line: Line) -> str:
    """Until the connection is over; why it is."""
    errors = 0
    while True:
        event = await websocket.receive()
        if event["type"] == "websocket.disconnect":
            return f"closed by the component ({event.get('code')})"
        text = event.get("text")
        if text is None:
            text = (event.get("bytes") or b"").decode("utf-8", "replace")
        try:
            said = read_frame(text, line.id)
        except InputRefused as error:
            errors += 1
            if errors == 1:
                hub.tell_invalid(line, str(error))
            line.answer_soon(error_frame(error))
            if errors >= MOST_ERRORS:
                line.close_soon(POLICY, "too many messages that can't be read")
            continue
        match said:
            case Report():
                if not await _record(hub, line, said):
                    return "the database was lost"
            case Ping():
                line.answer_soon(pong_frame())
            case Silence():
                pass
        errors = 0


async def _record(hub: Hub, line: Line, report: Report) -> bool:
    """False when the report could not be kept; the connection is then closed, so that nobody waits for it."""
    try:
        ended = await hub.reports.record(report)
    except (HubAway, ConnectionError):
        line.close_soon(RESTART, "the server restarts; connect again")
        return False
    if not ended:
        log.info("%s reported on a command that is not open", line.component)
    line.answer_soon(receipt_frame(report, with_id=line.instance is not None))
    return True


async def _refuse(websocket: WebSocket, code: int, reason: str) -> None:
    try:
        await websocket.close(code, reason.encode()[:120].decode("utf-8", "ignore"))
    except (WebSocketDisconnect, RuntimeError):
        log.debug("gone before it was refused: %s", reason)
