"""OKX's v5 protocol over HTTP: signatures, the envelope of answers and errors, and injected faults."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from missiondesk.exchanges.sandbox.answering import Reply, through_faults
from missiondesk.exchanges.sandbox.exchange import Exchange
from missiondesk.exchanges.sandbox.faults import Faults
from missiondesk.exchanges.sandbox.okx_access import OkxAccess
from missiondesk.exchanges.sandbox.okx_private import OkxPrivate
from missiondesk.exchanges.sandbox.okx_public import OkxPublic
from missiondesk.exchanges.sandbox.okx_words import Instruments, OkxError, parameter_error

_WITH_CODES = ("trade/order", "trade/batch-orders", "trade/cancel-order")


class OkxRest:
    """Routes over one exchange; `clock` gives unix seconds.

    Faults strike endpoints such as `POST trade/batch-orders`, with errors such as `50011:Too Many Requests`.
    """

    def __init__(
        self, exchange: Exchange, access: OkxAccess, faults: Faults, clock: Callable[[], float]
    ) -> None:
        self._exchange = exchange
        self._access = access
        self._faults = faults
        self._clock = clock
        instruments = Instruments(exchange.market.listing)
        self._public = OkxPublic(exchange.market, instruments).endpoints
        self._private = OkxPrivate(exchange, instruments).endpoints

    def routes(self) -> list[Route]:
        return [Route("/api/v5/{path:path}", self._answer, methods=["GET", "POST"])]

    async def _answer(self, request: Request) -> Response:
        body = await request.body()
        path = request.path_params["path"]
        endpoint = f"{request.method} {path}"

        def carry_out() -> Reply:
            try:
                if endpoint in self._public:
                    return _answered(self._public[endpoint](dict(request.query_params), self._clock()))
                query = f"?{request.url.query}" if request.url.query else ""
                target = f"{request.url.path}{query}"
                self._access.admit(request.method, target, body, request.headers)
                return self._private_answer(endpoint, path, _parameters(request, body))
            except OkxError as error:
                return _envelope(error.code, error.message, [], error.status)

        return await through_faults(self._faults, endpoint, carry_out, _refused)

    def _private_answer(self, endpoint: str, path: str, params: Any) -> Reply:
        handler = self._private.get(endpoint)
        if handler is None:
            raise OkxError("50014", "no such endpoint", 404)
        now = self._clock()
        self._exchange.advance(now)
        data = handler(params, now)
        if path in _WITH_CODES and data and all(each.get("sCode", "0") != "0" for each in data):
            return _envelope("1", "All operations failed", data)
        return _answered(data)


def _parameters(request: Request, body: bytes) -> Any:
    """Of a private call: an object, for several orders a list of them."""
    if request.method == "GET":
        return dict(request.query_params)
    try:
        decoded = json.loads(body)
    except ValueError:
        raise parameter_error("body") from None
    many = request.path_params["path"] == "trade/batch-orders"
    if not isinstance(decoded, list if many else Mapping):
        raise parameter_error("body")
    return decoded


def _answered(data: list[Any]) -> Reply:
    return _envelope("0", "", data)


def _refused(error: str) -> Reply:
    """`50011:Too Many Requests`"""
    code, _, message = error.partition(":")
    return _envelope(code, message, [])


def _envelope(code: str, message: str, data: list[Any], status: int = 200) -> Reply:
    content = {"code": code, "msg": message, "data": data}
    return Reply(json.dumps(content, separators=(",", ":")).encode(), status)
