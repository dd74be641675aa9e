"""Kraken's REST protocol over HTTP: parameters, signatures, the error envelope, and injected faults."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from missiondesk.exchanges.sandbox.access import Access, AccessRefused
from missiondesk.exchanges.sandbox.answering import Reply, through_faults
from missiondesk.exchanges.sandbox.exchange import Exchange
from missiondesk.exchanges.sandbox.faults import Faults
from missiondesk.exchanges.sandbox.kraken_private import KrakenPrivate
from missiondesk.exchanges.sandbox.kraken_public import KrakenPublic
from missiondesk.exchanges.sandbox.kraken_socket_orders import SocketOrders
from missiondesk.exchanges.sandbox.kraken_words import KrakenError


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
        endpoint = request.path_params["endpoint"]
        params: dict[str, Any] = dict(request.query_params)
        if request.method == "POST":
            params |= _parameters(request, await request.body())

        def carry_out() -> Reply:
            return self._carried_out(self._public, endpoint, params)

        return await through_faults(self._faults, endpoint, carry_out, _refused)

    async def _answer_private(self, request: Request) -> Response:
        body = await request.body()
        endpoint = request.path_params["endpoint"]
        key, signature = request.headers.get("API-Key"), request.headers.get("API-Sign")

        def carry_out() -> Reply:
            try:
                params = _parameters(request, body)
                nonce = str(params.get("nonce", ""))
                self._access.admit(request.url.path, body, key, signature, nonce, self._clock())
            except (AccessRefused, KrakenError) as refused:
                return _refused(str(refused))
            self._exchange.advance(self._clock())
            return self._carried_out(self._private, endpoint, params)

        return await through_faults(self._faults, endpoint, carry_out, _refused)

    def _carried_out(
        self,
        endpoints: Mapping[str, Callable[[Mapping[str, Any], float], Any]],
        endpoint: str,
        params: Mapping[str, Any],
    ) -> Reply:
        handler = endpoints.get(endpoint)
        if handler is None:
            return _refused("EGeneral:Unknown method")
        try:
            return _answered(handler(params, self._clock()))
        except KrakenError as refused:
            return _refused(str(refused))


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


def _answered(result: Any) -> Reply:
    return _envelope({"error": [], "result": result})


def _refused(error: str) -> Reply:
    return _envelope({"error": [error]})


def _envelope(content: Mapping[str, Any]) -> Reply:
    return Reply(json.dumps(content, separators=(",", ":")).encode())
