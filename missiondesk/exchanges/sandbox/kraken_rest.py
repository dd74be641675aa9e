"""Kraken's REST protocol over HTTP: parameters, signatures, the error envelope, and injected faults."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from missiondesk.exchanges.sandbox.access import Access, AccessRefused
from missiondesk.exchanges.sandbox.exchange import Exchange
from missiondesk.exchanges.sandbox.faults import Answer, Fault, Faults
from missiondesk.exchanges.sandbox.kraken_private import KrakenPrivate
from missiondesk.exchanges.sandbox.kraken_public import KrakenPublic
from missiondesk.exchanges.sandbox.kraken_socket_orders import SocketOrders
from missiondesk.exchanges.sandbox.kraken_words import KrakenError

_log = logging.getLogger(__name__)

_NO_FAULT = Fault()
_PAGE = "<html><head><title>{0}</title></head><body><h1>{0} the sandbox's proxy says no</h1></body></html>"


class ConnectionLost(BaseException):
    """The client is to see its connection closed, without an answer.

    No Exception, for which Starlette would answer 500 first.
    """


class KrakenRest:
    """Routes over one exchange; `clock` gives unix seconds."""

    def __init__(
        self,
        exchange: Exchange,
        access: Access,
        faults: Faults,
        clock: Callable[[], float],
        socket_orders: SocketOrders,
    ) -> None:
        self._exchange = exchange
        self._access = access
        self._faults = faults
        self._clock = clock
        self._public = KrakenPublic(exchange.market).endpoints
        tokens = {"GetWebSocketsToken": socket_orders.new_token}
        self._private = {**KrakenPrivate(exchange).endpoints, **tokens}

    def routes(self) -> list[Route]:
        return [
            Route("/0/public/{endpoint}", self._answer_public, methods=["GET", "POST"]),
            Route("/0/private/{endpoint}", self._answer_private, methods=["POST"]),
        ]

    async def _answer_public(self, request: Request) -> Response:
        params: dict[str, Any] = dict(request.query_params)
        if request.method == "POST":
            params |= _parameters(request, await request.body())

        def carry_out() -> bytes:
            return self._carried_out(self._public, request.path_params["endpoint"], params)

        return await self._through_faults(request, carry_out)

    async def _answer_private(self, request: Request) -> Response:
        body = await request.body()
        endpoint = request.path_params["endpoint"]
        key, signature = request.headers.get("API-Key"), request.headers.get("API-Sign")

        def carry_out() -> bytes:
            try:
                params = _parameters(request, body)
                nonce = str(params.get("nonce", ""))
                self._access.admit(request.url.path, body, key, signature, nonce, self._clock())
            except (AccessRefused, KrakenError) as refused:
                return _envelope(error=str(refused))
            self._exchange.advance(self._clock())
            return self._carried_out(self._private, endpoint, params)

        return await self._through_faults(request, carry_out)

    def _carried_out(
        self,
        endpoints: Mapping[str, Callable[[Mapping[str, Any], float], Any]],
        endpoint: str,
        params: Mapping[str, Any],
    ) -> bytes:
        handler = endpoints.get(endpoint)
        if handler is None:
            return _envelope(error="EGeneral:Unknown method")
        try:
            return _envelope(result=handler(params, self._clock()))
        except KrakenError as refused:
            return _envelope(error=str(refused))

    async def _through_faults(self, request: Request, carry_out: Callable[[], bytes]) -> Response:
        endpoint = request.path_params["endpoint"]
        fault = self._faults.next_for(endpoint) or _NO_FAULT
        if fault is not _NO_FAULT:
            _log.info("fault at %s: %s", endpoint, fault)
        await asyncio.sleep(fault.wait_before)
        body = carry_out() if fault.lets_act else b""
        await asyncio.sleep(fault.wait_after)
        return _answer(fault, body)


def _answer(fault: Fault, body: bytes) -> Response:
    match fault.answer:
        case Answer.INTACT:
            return _json(body)
        case Answer.DROPPED:
            raise ConnectionLost
        case Answer.TRUNCATED:
            return _json(body[: len(body) // 2])
        case Answer.HTML:
            return HTMLResponse(_PAGE.format(fault.status), status_code=fault.status)
        case Answer.STATUS:
            return Response(status_code=fault.status)
        case Answer.ERROR:
            return _json(_envelope(error=fault.error))


def _parameters(request: Request, body: bytes) -> dict[str, Any]:
    """A private call's parameters: a form, or JSON where its header says so."""
    try:
        if request.headers.get("Content-Type", "").startswith("application/json"):
            decoded = json.loads(body)
            if not isinstance(decoded, dict):
                raise KrakenError("EGeneral:Invalid arguments")
            return decoded
        return dict(parse_qsl(body.decode()))
    except ValueError:
        raise KrakenError("EGeneral:Invalid arguments") from None


def _envelope(result: Any = None, error: str | None = None) -> bytes:
    content = {"error": [error]} if error is not None else {"error": [], "result": result}
    return json.dumps(content, separators=(",", ":")).encode()


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")
