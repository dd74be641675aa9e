"""Orders between OKX's wire and the exchange: the parameters of an order in, orders and fills out."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from missiondesk.exchanges.sandbox.okx_listing import instrument_id, instrument_type
from missiondesk.exchanges.sandbox.okx_words import Params, milliseconds, parameter_error, plain, positive
from missiondesk.exchanges.sandbox.orders import Fill, Order, OrderRequest
from missiondesk.exchanges.sandbox.pairs import Pair

_CLIENT_ID = re.compile(r"[0-9a-zA-Z]{1,32}")
_KINDS = {"market": "market", "limit": "limit", "post_only": "limit", "ioc": "limit"}


def order_request(params: Params, pair: Pair) -> OrderRequest:
    """What an order's parameters ask for; what the sandbox does not do is refused, never ignored."""
    kind, client_id = params.get("ordType"), str(params.get("clOrdId") or "")
    is_spot = pair.contract is None
    wrong = [
        name
        for name, is_wrong in {
            "side": params.get("side") not in ("buy", "sell"),
            "ordType": kind not in _KINDS,
            "tdMode": params.get("tdMode") != ("cash" if is_spot else "cross"),
            "posSide": params.get("posSide") not in (None, "", "net"),
            "tgtCcy": is_spot and kind == "market" and params.get("tgtCcy") != "base_ccy",
            "clOrdId": client_id != "" and not _CLIENT_ID.fullmatch(client_id),
            "attachAlgoOrds": bool(params.get("attachAlgoOrds")),
        }.items()
        if is_wrong
    ]
    if wrong:
        raise parameter_error(wrong[0])
    return OrderRequest.model_validate(
        {
            "symbol": pair.symbol,
            "side": params["side"],
            "kind": _KINDS[str(kind)],
            "amount": positive(params, "sz"),
            "price": None if kind == "market" else positive(params, "px"),
            "client_id": client_id or None,
            "post_only": kind == "post_only",
            "immediate": kind == "ioc",
            "reduce_only": str(params.get("reduceOnly", "")).lower() == "true" and not is_spot,
        }
    )


def written_order(order: Order, pair: Pair, leverage: Decimal) -> dict[str, Any]:
    """An order as OKX shows it; a fee that was paid is negative."""
    request = order.request
    average = plain(average_price(order, pair)) if order.filled else ""
    closed = milliseconds(order.closed_at or order.opened_at)
    return {
        "instType": instrument_type(pair),
        "instId": instrument_id(pair),
        "ordId": order.id,
        "clOrdId": request.client_id or "",
        "tag": "",
        "px": "" if request.price is None else plain(request.price),
        "sz": plain(request.amount),
        "ordType": "post_only" if request.post_only else "ioc" if request.immediate else request.kind,
        "side": request.side,
        "posSide": "net" if pair.contract is not None else "",
        "tdMode": "cash" if pair.contract is None else "cross",
        "tgtCcy": "base_ccy" if pair.contract is None and request.kind == "market" else "",
        "accFillSz": plain(order.filled),
        "fillPx": average,
        "avgPx": average,
        "state": _state(order),
        "lever": "" if pair.contract is None else plain(leverage),
        "feeCcy": pair.money,
        "fee": plain(-order.fee),
        "pnl": "0",
        "category": "normal",
        "reduceOnly": "true" if request.reduce_only else "false",
        "cancelSource": "1" if order.status == "canceled" else "",
        "cTime": milliseconds(order.opened_at),
        "uTime": closed,
        "fillTime": closed if order.filled else "",
    }


def average_price(order: Order, pair: Pair) -> Decimal:
    if pair.contract is not None:
        return pair.contract.mean_price(order.filled, order.cost)
    return order.cost / order.filled


def written_fill(fill: Fill, order: Order, pair: Pair) -> dict[str, Any]:
    """A fill as trade/fills shows it."""
    return {
        "instType": instrument_type(pair),
        "instId": instrument_id(pair),
        "tradeId": str(fill.number + 1),
        "ordId": fill.order_id,
        "clOrdId": order.request.client_id or "",
        "billId": fill.id,
        "fillPx": plain(fill.price),
        "fillSz": plain(fill.amount),
        "side": fill.side,
        "posSide": "net",
        "execType": "M" if fill.maker else "T",
        "feeCcy": pair.money,
        "fee": plain(-fill.fee),
        "ts": milliseconds(fill.at),
    }


def _state(order: Order) -> str:
    if order.status == "open":
        return "partially_filled" if order.filled else "live"
    return "filled" if order.status == "closed" else "canceled"
