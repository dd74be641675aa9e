"""Orders between BitMEX's wire and the exchange: the parameters of an order in, orders and executions out."""

from __future__ import annotations

from typing import Any

from missiondesk.exchanges.sandbox.bitmex_words import BitmexError, Params, positive, smallest_units, stamp
from missiondesk.exchanges.sandbox.orders import Fill, Order, OrderRequest
from missiondesk.exchanges.sandbox.pairs import Pair

_INSTRUCTIONS = {"ReduceOnly", "ParticipateDoNotInitiate"}
_LIFETIMES = {"", "GoodTillCancel", "ImmediateOrCancel"}


def order_request(params: Params, pair: Pair) -> OrderRequest:
    """What an order's parameters ask for; what the sandbox does not do is refused, never ignored."""
    kind, client_id = str(params.get("ordType") or "Limit"), str(params.get("clOrdID") or "")
    instructions = {word for word in str(params.get("execInst") or "").split(",") if word}
    lifetime = str(params.get("timeInForce") or "")
    wrong = [
        name
        for name, is_wrong in {
            "side": params.get("side") not in ("Buy", "Sell"),
            "ordType": kind not in ("Market", "Limit"),
            "execInst": not instructions <= _INSTRUCTIONS,
            "timeInForce": lifetime not in _LIFETIMES,
            "clOrdID": len(client_id) > 36,
            "stopPx": params.get("stopPx") is not None,
        }.items()
        if is_wrong
    ]
    if wrong:
        raise BitmexError(400, f"{wrong[0]} is invalid")
    return OrderRequest.model_validate(
        {
            "symbol": pair.symbol,
            "side": str(params["side"]).lower(),
            "kind": kind.lower(),
            "amount": positive(params, "orderQty"),
            "price": positive(params, "price") if kind == "Limit" else None,
            "client_id": client_id or None,
            "post_only": "ParticipateDoNotInitiate" in instructions,
            "immediate": lifetime == "ImmediateOrCancel",
            "reduce_only": "ReduceOnly" in instructions,
        }
    )


def written_order(order: Order, pair: Pair) -> dict[str, Any]:
    """An order as BitMEX shows it; it tells no fee."""
    request, contract = order.request, pair.contract
    assert contract is not None, "BitMEX lists contracts"
    average = float(contract.mean_price(order.filled, order.cost)) if order.filled else None
    instructions = [
        *(["ReduceOnly"] if request.reduce_only else []),
        *(["ParticipateDoNotInitiate"] if request.post_only else []),
    ]
    return {
        "orderID": order.id,
        "clOrdID": request.client_id or "",
        "account": 1,
        "symbol": pair.id,
        "side": request.side.capitalize(),
        "orderQty": int(request.amount),
        "price": None if request.price is None else float(request.price),
        "currency": pair.quote,
        "settlCurrency": "XBt",
        "ordType": request.kind.capitalize(),
        "timeInForce": "ImmediateOrCancel" if request.immediate else "GoodTillCancel",
        "execInst": ",".join(instructions),
        "ordStatus": _status(order),
        "workingIndicator": order.status == "open",
        "leavesQty": int(order.remaining) if order.status == "open" else 0,
        "cumQty": int(order.filled),
        "avgPx": average,
        "text": order.reason or "",
        "transactTime": stamp(order.closed_at or order.opened_at),
        "timestamp": stamp(order.opened_at),
    }


def written_execution(fill: Fill, order: Order, pair: Pair) -> dict[str, Any]:
    """A fill as execution/tradeHistory shows it; cost and fee in satoshis."""
    cost = smallest_units(fill.cost, pair.money)
    return {
        "execID": fill.id,
        "orderID": fill.order_id,
        "clOrdID": order.request.client_id or "",
        "account": 1,
        "symbol": pair.id,
        "side": fill.side.capitalize(),
        "lastQty": int(fill.amount),
        "lastPx": float(fill.price),
        "lastLiquidityInd": "AddedLiquidity" if fill.maker else "RemovedLiquidity",
        "orderQty": int(order.request.amount),
        "execType": "Trade",
        "ordType": order.request.kind.capitalize(),
        "settlCurrency": "XBt",
        "commission": float(pair.maker if fill.maker else pair.taker),
        "execCost": -cost if fill.side == "buy" else cost,
        "execComm": smallest_units(fill.fee, pair.money),
        "trdMatchID": fill.id,
        "transactTime": stamp(fill.at),
        "timestamp": stamp(fill.at),
    }


def _status(order: Order) -> str:
    if order.status == "open":
        return "PartiallyFilled" if order.filled else "New"
    return "Filled" if order.status == "closed" else "Canceled"
