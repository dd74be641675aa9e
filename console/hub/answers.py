"""The old protocol's envelope `{"code", "message", "result"}`; an error is HTTP 400 with a null result.

Only while the database or Prefect are away it is 503: nothing is wrong with the request then.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Coroutine
from enum import Enum
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect

from missiondesk.components.registry import AlreadyRegistered, ComponentOffline, HashTaken
from missiondesk.components.texts import parse_json
from missiondesk.components.workflows import WorkflowExists
from models.errors import InputRefused, MissiondeskError, RetryLater, UnknownName

log = logging.getLogger(__name__)

LARGEST_BODY = 2_000_000


class Code(Enum):
    """A code with the message that goes with it."""

    DONE = "2000", "成功!"
    OTHER = "3001", "其他错误!"
    BAD_DATA = "3002", "数据错误!"
    NOT_FOUND = "3003", "模块不存在或不在线!"
    ID_EXISTS = "3004", "ID已存在!"
    DUPLICATE = "3005", "模块重复注册!"

    @property
    def number(self) -> str:
        return self.value[0]

    @property
    def words(self) -> str:
        return self.value[1]


def done(result: Any) -> dict[str, Any]:
    """The answer of a request that was carried out."""
    return {"code": Code.DONE.number, "message": Code.DONE.words, "result": result}


def refused(error: Exception) -> Response:
    """The answer of a request that was not; 503 where the same request may succeed later."""
    code = _code_of(error)
    said = str(error) if isinstance(error, MissiondeskError) else type(error).__name__
    if isinstance(error, RequestValidationError):
        said = "; ".join(f"{detail['loc'][-1]}: {detail['msg']}" for detail in error.errors())
    # Old clients compare the message of a repeated registration as a whole.
    message = code.words if code is Code.DUPLICATE else f"{code.words} {said}"
    content = {"code": code.number, "message": message, "result": None}
    status, headers = HTTPStatus.BAD_REQUEST, {}
    if isinstance(error, RetryLater):
        status, headers = HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": "5"}
    return Response(json.dumps(content), status, headers, media_type="application/json")


def _code_of(error: Exception) -> Code:
    match error:
        case AlreadyRegistered():
            return Code.DUPLICATE
        case HashTaken() | WorkflowExists():
            return Code.ID_EXISTS
        case UnknownName() | ComponentOffline():
            return Code.NOT_FOUND
        case InputRefused() | RequestValidationError():
            return Code.BAD_DATA
        case _:
            return Code.OTHER


class EnvelopeRoute(APIRoute):
    """Every answer of such a route has the envelope, whatever goes wrong."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_in_envelope(request: Request) -> Response:
            try:
                return await handle(request)
            except ClientDisconnect:
                return Response(status_code=HTTPStatus.BAD_REQUEST)  # for nobody
            except Exception as error:
                if not isinstance(error, MissiondeskError | RequestValidationError):
                    log.exception("%s %s broke", request.method, request.url.path)
                return refused(error)

        return handle_in_envelope


async def json_object(request: Request) -> dict[str, Any]:
    """The body as a JSON object. Raises InputRefused for anything else and for what is too large."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise InputRefused(f"expected a body of at most {LARGEST_BODY} bytes, got more")
    given = parse_json(body.decode("utf-8", "replace"))
    if not isinstance(given, dict):
        raise InputRefused(f"expected a JSON object, got {type(given).__name__}")
    return given
