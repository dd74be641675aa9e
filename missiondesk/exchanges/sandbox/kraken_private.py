"""Kraken's private REST endpoints: parameters in, the `result` of the answer out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from missiondesk.exchanges.sandbox.exchange import Exchange
from missiondesk.exchanges.sandbox.kraken_words import (
    KrakenError,
    description,
    integer,
    one_of_pairs,
    positive,
    truth,
    words_for,
)
from missiondesk.exchanges.sandbox.orders import Fill, Order, OrderRequest, RequestRefused
from missiondesk.exchanges.sandbox.pairs import Pair, asset_decimals, asset_id

Params = Mapping[str, Any]

_PAGE = 50
_MOST_TXIDS = 50
_LATEST_DEADLINE = 60.0
_CLIENT_ID = re.compile(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[ -~]{1,18}")
_NO_LEVERAGE = {"", "none", "0", "1", "1:1"}
_KNOWN_FLAGS = {"fciq", "nompp", "post"}


class KrakenPrivate:
    """Answers for the one account of an exchange. `now` is unix seconds; raises KrakenError."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.endpoints: Mapping[str, Callable[[Params, float], Any]] = {
            "Balance": self._balance,
            "BalanceEx": self._balance_with_holds,
            "TradeBalance": self._trade_balance,
            "AddOrder": self._add_order,
            "CancelOrder": self._cancel_order,
            "CancelAll": self._cancel_all,
            "OpenOrders": self._open_orders,
            "ClosedOrders": self._closed_orders,
            "QueryOrders": self._query_orders,
            "TradesHistory": self._trades_history,
            "QueryTrades": self._query_trades,
        }

    def _balance(self, params: Params, now: float) -> Any:
        return {asset_id(asset): _amount(owned, asset) for asset, owned in self._exchange.balances.items()}

    def _balance_with_holds(self, params: Params, now: float) -> Any:
        return {
            asset_id(asset): {
                "balance": _amount(owned, asset),
                "hold_trade": _amount(self._exchange.held(asset), asset),
            }
            for asset, owned in self._exchange.balances.items()
        }

    def _trade_balance(self, params: Params, now: float) -> Any:
        """Everything valued in dollars; there are no margin positions, so most of it is zero."""
        worth = f"{self._worth_in_dollars(now):.4f}"
        nothing = dict.fromkeys(("m", "n", "c", "v"), "0.0000")
        return {"eb": worth, "tb": worth, **nothing, "e": worth, "mf": worth}

    def _add_order(self, params: Params, now: float) -> Any:
        pair = one_of_pairs(self._exchange.market, params.get("pair"))
        request = _order_request(params, pair, now)
        described = {"descr": {"order": description(request, pair)}}
        try:
            if truth(params, "validate"):
                self._exchange.check(request, now)
                return described
            return described | {"txid": [self._exchange.place(request, now).id]}
        except RequestRefused as refused:
            raise KrakenError(words_for(refused.refusal, pair)) from None

    def _cancel_order(self, params: Params, now: float) -> Any:
        txid, client_id = str(params.get("txid") or ""), params.get("cl_ord_id")
        if not txid and not client_id:
            raise KrakenError("EGeneral:Invalid arguments")

        def is_meant(order: Order) -> bool:
            if client_id:
                return order.request.client_id == str(client_id)
            return txid == order.id or (order.request.userref != 0 and txid == str(order.request.userref))

        found = [order.id for order in self._exchange.orders if order.status == "open" and is_meant(order)]
        if not found:
            raise KrakenError("EOrder:Unknown order")
        return self._cancel(found, now)

    def _cancel_all(self, params: Params, now: float) -> Any:
        return self._cancel((order.id for order in self._exchange.orders if order.status == "open"), now)

    def _open_orders(self, params: Params, now: float) -> Any:
        orders = [order for order in self._exchange.orders if order.status == "open"]
        return {"open": self._described(_referenced(orders, params), params)}

    def _closed_orders(self, params: Params, now: float) -> Any:
        closed = [order for order in self._exchange.orders if order.status != "open"]
        closed.sort(key=lambda order: order.closed_at or now, reverse=True)
        by_opening = params.get("closetime") == "open"
        first, last = self._window(params)
        found = [
            order
            for order in _referenced(closed, params)
            if first < (order.opened_at if by_opening else order.closed_at or now) <= last
        ]
        offset = integer(params, "ofs", 0)
        page = self._described(found[offset : offset + _PAGE], params)
        return {"closed": page} | ({} if truth(params, "without_count") else {"count": len(found)})

    def _query_orders(self, params: Params, now: float) -> Any:
        """By txid only; unknown ones are left out, as Kraken does."""
        found = [self._exchange.order(txid) for txid in _txids(params)]
        return self._described(_referenced([order for order in found if order], params), params)

    def _trades_history(self, params: Params, now: float) -> Any:
        first, last = self._window(params)
        found = [fill for fill in reversed(self._exchange.fills) if first < fill.at <= last]
        offset = integer(params, "ofs", 0)
        page = {fill.id: self._trade(fill) for fill in found[offset : offset + _PAGE]}
        return {"trades": page} | ({} if truth(params, "without_count") else {"count": len(found)})

    def _query_trades(self, params: Params, now: float) -> Any:
        fills = {fill.id: fill for fill in self._exchange.fills}
        return {txid: self._trade(fills[txid]) for txid in _txids(params) if txid in fills}

    def _cancel(self, order_ids: Iterable[str], now: float) -> Any:
        return {"count": len([self._exchange.cancel(order_id, now) for order_id in list(order_ids)])}

    def _window(self, params: Params) -> tuple[float, float]:
        """`start` (not included) and `end` (included): unix seconds, or the txid of an order."""

        def instant(name: str, default: float) -> float:
            text = str(params.get(name) or "")
            order = self._exchange.order(text)
            try:
                return order.opened_at if order else float(text or default)
            except ValueError:
                raise KrakenError(f"EGeneral:Invalid arguments:{name}") from None

        return instant("start", 0.0), instant("end", float("inf"))

    def _described(self, orders: Iterable[Order], params: Params) -> dict[str, Any]:
        with_trades = truth(params, "trades")
        return {order.id: self._order(order, with_trades) for order in orders}

    def _order(self, order: Order, with_trades: bool) -> dict[str, Any]:
        request, pair = order.request, self._pair(order.request.symbol)
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

    def _trade(self, fill: Fill) -> dict[str, Any]:
        pair = self._pair(fill.symbol)
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

    def _pair(self, symbol: str) -> Pair:
        return self._exchange.market.listing[symbol]

    def _worth_in_dollars(self, now: float) -> Decimal:
        market, total = self._exchange.market, Decimal(0)
        for asset, owned in self._exchange.balances.items():
            pair = market.listing.find(f"{asset}/USD")
            price = market.price(pair.symbol, now) if pair else Decimal(int(asset in {"USD", "USDT"}))
            total += owned * price
        return total


def _order_request(params: Params, pair: Pair, now: float) -> OrderRequest:
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


def _referenced(orders: Iterable[Order], params: Params) -> list[Order]:
    """Those with the asked `userref` and `cl_ord_id`."""
    client_id, userref = params.get("cl_ord_id"), integer(params, "userref", 0)
    return [
        order
        for order in orders
        if (not client_id or order.request.client_id == client_id)
        and (not userref or order.request.userref == userref)
    ]


def _txids(params: Params) -> list[str]:
    txids = [txid for txid in str(params.get("txid") or "").split(",") if txid]
    if not 1 <= len(txids) <= _MOST_TXIDS:
        raise KrakenError("EGeneral:Invalid arguments")
    return txids


def _amount(owned: Decimal, asset: str) -> str:
    return f"{owned:.{asset_decimals(asset)}f}"
