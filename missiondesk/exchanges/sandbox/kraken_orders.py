"""Orders between Kraken's wire and the exchange: AddOrder's parameters in, orders and trades out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from missiondesk.exchanges.sandbox.kraken_words import KrakenError, description, integer, positive, truth
from missiondesk.exchanges.sandbox.orders import Fill, Order, OrderRequest
from missiondesk.exchanges.sandbox.pairs import Pair

Params = Mapping[str, Any]

_LATEST_DEADLINE = 60.0
_CLIENT_ID = re.compile(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[ -~]{1,18}")
_NO_LEVERAGE = {"", "none", "0", "1", "1:1"}
_KNOWN_FLAGS = {"fciq", "nompp", "post"}


def order_request(params: Params, pair: Pair, now: float) -> OrderRequest:
    """What AddOrder's parameters ask for; what the sandbox does not do is refused, never ignored."""
    side, kind = params.get("type"), params.get("ordertype")
    flags = {flag for flag in str(params.get("oflags") or "").split(",") if flag}
    lifetime = str(params.get("timeinforce") or "GTC").upper()
    client_id, userref = params.get("cl_ord_id"), integer(params, "userref", 0)
    wrong = [
        name
        for name, is_wrong in {
            "type": side not in ("buy", "sell"),
            "ordertype": kind not in ("market", "limit"),
            "oflags": not flags <= _KNOWN_FLAGS or ("post" in flags and kind != "limit"),
            "timeinforce": lifetime not in ("GTC", "IOC"),
            "starttm": str(params.get("starttm") or "0") != "0",
            "expiretm": str(params.get("expiretm") or "0") != "0",
            "cl_ord_id": client_id is not None and not _CLIENT_ID.fullmatch(str(client_id)),
            "userref": client_id is not None and params.get("userref") is not None,
            "close": any(name.startswith("close[") for name in params),
        }.items()
        if is_wrong
    ]
    if wrong:
        raise KrakenError(f"EGeneral:Invalid arguments:{wrong[0]}")
    if str(params.get("leverage") or "").lower() not in _NO_LEVERAGE:
        raise KrakenError("EOrder:Cannot open position")
    if truth(params, "reduce_only"):
        raise KrakenError("EOrder:Reduce only:No position exists")
    return OrderRequest.model_validate(
        {
            "symbol": pair.symbol,
            "side": side,
            "kind": kind,
            "amount": positive(params, "volume"),
            "price": positive(params, "price") if kind == "limit" else None,
            "client_id": client_id,
            "userref": userref,
            "post_only": "post" in flags,
            "immediate": lifetime == "IOC",
            "deadline": _deadline(params, now),
        }
    )


def _deadline(params: Params, now: float) -> float | None:
    """RFC 3339; Kraken takes none later than a minute from now."""
    text = params.get("deadline")
    if not text:
        return None
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        raise KrakenError("EGeneral:Invalid arguments:deadline") from None
    if at.tzinfo is None or at.timestamp() > now + _LATEST_DEADLINE:
        raise KrakenError("EGeneral:Invalid arguments:deadline")
    return at.timestamp()


def written_order(order: Order, pair: Pair, with_trades: bool) -> dict[str, Any]:
    """An order as OpenOrders, ClosedOrders and QueryOrders show it."""
    request = order.request
    average = order.cost / order.filled if order.filled else Decimal(0)
    written: dict[str, Any] = {
        "refid": None,
        "userref": request.userref,
        **({"cl_ord_id": request.client_id} if request.client_id else {}),
        "status": order.status,
        "opentm": order.opened_at,
        "starttm": 0,
        "expiretm": 0,
        "descr": {
            "pair": pair.altname,
            "type": request.side,
            "ordertype": request.kind,
            "price": "0" if request.price is None else f"{request.price:.{pair.price_decimals}f}",
            "price2": "0",
            "leverage": "none",
            "order": description(request, pair),
            "close": "",
        },
        "vol": f"{request.amount:.8f}",
        "vol_exec": f"{order.filled:.8f}",
        "cost": f"{order.cost:.{pair.cost_decimals}f}",
        "fee": f"{order.fee:.{pair.cost_decimals}f}",
        "price": f"{average:.{max(5, pair.price_decimals)}f}",
        "stopprice": "0.00000",
        "limitprice": "0.00000",
        "misc": "",
        "oflags": "fciq,post" if request.post_only else "fciq",
    }
    if with_trades and order.fills:
        written["trades"] = list(order.fills)
    if order.status != "open":
        written |= {"reason": order.reason, "closetm": order.closed_at}
    return written


def written_trade(fill: Fill, pair: Pair) -> dict[str, Any]:
    """A fill as TradesHistory shows it."""
    return {
        "ordertxid": fill.order_id,
        "postxid": "TKH2SE-M7IF5-CFI7LT",
        "pair": pair.id,
        "time": fill.at,
        "type": fill.side,
        "ordertype": fill.kind,
        "price": f"{fill.price:.{max(5, pair.price_decimals)}f}",
        "cost": f"{fill.cost:.{pair.cost_decimals}f}",
        "fee": f"{fill.fee:.{pair.cost_decimals}f}",
        "vol": f"{fill.amount:.8f}",
        "margin": "0.00000",
        "leverage": "0",
        "misc": "",
        "trade_id": fill.number + 1,
        "maker": fill.maker,
    }
