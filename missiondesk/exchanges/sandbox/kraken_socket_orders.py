"""Orders over Kraken's websocket (v2): its words turned into those of REST, and the answers back."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from missiondesk.exchanges.sandbox.exchange import Exchange
from missiondesk.exchanges.sandbox.kraken_private import KrakenPrivate
from missiondesk.exchanges.sandbox.kraken_subscriptions import Reply, Request
from missiondesk.exchanges.sandbox.kraken_words import KrakenError

Params = Mapping[str, Any]

_TOKEN_SECONDS: Final = 900

# Names of `add_order` by those that AddOrder has for the same.
_NAMES: Final = {
    "pair": "symbol",
    "type": "side",
    "ordertype": "order_type",
    "volume": "order_qty",
    "price": "limit_price",
    "timeinforce": "time_in_force",
    "cl_ord_id": "cl_ord_id",
    "userref": "order_userref",
    "reduce_only": "reduce_only",
    "deadline": "deadline",
    "validate": "validate",
}
_OTHER_NAMES: Final = frozenset({"token", "post_only"})


class SocketOrders:
    """For the one account of an exchange; `clock` gives unix seconds.

    A token is asked for by REST and carried by every request.
    """

    def __init__(self, exchange: Exchange, clock: Callable[[], float]) -> None:
        self._exchange = exchange
        self._private = KrakenPrivate(exchange).endpoints
        self._clock = clock
        self._tokens: set[str] = set()
        self._methods: Mapping[str, Callable[[Params, float], Sequence[Reply]]] = {
            "add_order": self._add,
            "cancel_order": self._cancel,
            "cancel_all": self._cancel_all,
        }

    def new_token(self, params: Params, now: float) -> Any:
        """REST's GetWebSocketsToken."""
        token = hashlib.sha256(f"{len(self._tokens)} {now}".encode()).hexdigest()
        self._tokens.add(token)
        return {"token": token, "expires": _TOKEN_SECONDS}

    def replies(self, request: Request) -> Sequence[Reply]:
        """Raises KrakenError."""
        method, params = self._methods.get(str(request.get("method"))), request.get("params")
        if method is None:
            raise KrakenError("Event(s) not found")
        if not isinstance(params, dict):
            raise KrakenError("Malformed request")
        if params.get("token") not in self._tokens:
            raise KrakenError("ESession:Invalid session")
        now = self._clock()
        self._exchange.advance(now)
        return method(params, now)

    def _add(self, params: Params, now: float) -> Sequence[Reply]:
        unknown = params.keys() - set(_NAMES.values()) - _OTHER_NAMES
        if unknown:
            raise KrakenError(f"Unsupported field: '{min(unknown)}' for the given msg type: add order")
        asked = {rest: params[own] for rest, own in _NAMES.items() if own in params}
        if params.get("post_only"):
            asked["oflags"] = "post"
        added = self._private["AddOrder"](asked, now)
        if "txid" not in added:
            return [{"result": {}, "success": True}]
        client_id = {"cl_ord_id": params["cl_ord_id"]} if "cl_ord_id" in params else {}
        return [{"result": {"order_id": added["txid"][0], **client_id}, "success": True}]

    def _cancel(self, params: Params, now: float) -> Sequence[Reply]:
        """One answer for each order."""
        replies: list[Reply] = []
        for name, rest in (("order_id", "txid"), ("cl_ord_id", "cl_ord_id")):
            for given in params.get(name, []):
                try:
                    self._private["CancelOrder"]({rest: given}, now)
                    replies.append({"result": {name: given}, "success": True})
                except KrakenError as refused:
                    replies.append({"error": str(refused), "success": False})
        if not replies:
            raise KrakenError("EGeneral:Invalid arguments")
        return replies

    def _cancel_all(self, params: Params, now: float) -> Sequence[Reply]:
        return [{"result": self._private["CancelAll"]({}, now), "success": True}]
