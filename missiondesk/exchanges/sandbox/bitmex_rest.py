"""BitMEX's v1 protocol over HTTP: signatures, errors with their status, and injected faults."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from missiondesk.exchanges.sandbox.answering import Reply, through_faults
from missiondesk.exchanges.sandbox.bitmex_private import BitmexPrivate
from missiondesk.exchanges.sandbox.bitmex_public import BitmexPublic
from missiondesk.exchanges.sandbox.bitmex_words import BitmexError
from missiondesk.exchanges.sandbox.exchange import Exchange
from missiondesk.exchanges.sandbox.faults import Faults


class BitmexAccess:
    """Checks private calls. `secrets` maps API keys to their secrets.

    Whether a request has expired is taken by the real time, whatever the market's clock shows.
    """

    def __init__(self, secrets: Mapping[str, str], real_time: Callable[[], float] = time.time) -> None:
        self._secrets = secrets
        self._real_time = real_time

    def admit(self, method: str, target: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Raise BitmexError unless all is in order. `target` is the path with its query."""
        secret = self._secrets.get(headers.get("api-key", ""))
        if secret is None:
            raise BitmexError(401, "Invalid API Key.")
        expires = headers.get("api-expires", "")
        signed = hmac.new(secret.encode(), f"{method}{target}{expires}".encode() + body, hashlib.sha256)
        if not hmac.compare_digest(headers.get("api-signature", "").encode(), signed.hexdigest().encode()):
            raise BitmexError(401, "Signature not valid.")
        if not expires.isdecimal() or int(expires) < self._real_time():
            raise BitmexError(401, "This request has expired.")


class BitmexRest:
    """Routes over one exchange; `clock` gives unix seconds.

    Faults strike endpoints such as `POST order`, with errors such as `429:Rate limit exceeded`.
    """

    def __init__(
        self, exchange: Exchange, access: BitmexAccess, faults: Faults, clock: Callable[[], float]
    ) -> None:
        self._exchange = exchange
        self._access = access
        self._faults = faults
        self._clock = clock
        self._public = BitmexPublic(exchange.market).endpoints
        self._private = BitmexPrivate(exchange).endpoints

    def routes(self) -> list[Route]:
        return [Route("/api/v1/{path:path}", self._answer, methods=["GET", "POST", "DELETE"])]

    async def _answer(self, request: Request) -> Response:
        body = await request.body()
        endpoint = f"{request.method} {request.path_params['path']}"

        def carry_out() -> Reply:
            try:
                params = _parameters(request, body)
                if endpoint in self._public:
                    return _json(self._public[endpoint](params, self._clock()))
                query = f"?{request.url.query}" if request.url.query else ""
                target = f"{request.url.path}{query}"
                self._access.admit(request.method, target, body, request.headers)
                handler = self._private.get(endpoint)
                if handler is None:
                    raise BitmexError(404, "Not Found")
                now = self._clock()
                self._exchange.advance(now)
                return _json(handler(params, now))
            except BitmexError as error:
                return _failure(error)

        return await through_faults(self._faults, endpoint, carry_out, _refused)


def _parameters(request: Request, body: bytes) -> dict[str, Any]:
    if request.method == "GET" or not body:
        return dict(request.query_params)
    try:
        decoded = json.loads(body)
    except ValueError:
        decoded = None
    if not isinstance(decoded, dict):
        raise BitmexError(400, "body is invalid")
    return decoded


def _refused(error: str) -> Reply:
    """`429:Rate limit exceeded`"""
    status, _, message = error.partition(":")
    return _failure(BitmexError(int(status), message))


def _failure(error: BitmexError) -> Reply:
    return _json({"error": {"message": error.message, "name": "HTTPError"}}, error.status)


def _json(content: Any, status: int = 200) -> Reply:
    return Reply(json.dumps(content, separators=(",", ":")).encode(), status)
