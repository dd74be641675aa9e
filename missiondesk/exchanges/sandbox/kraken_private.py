"""Kraken's private REST endpoints: parameters in, the `result` of the answer out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from missiondesk.exchanges.sandbox.exchange import Exchange
from missiondesk.exchanges.sandbox.kraken_orders import order_request, written_order, written_trade
from missiondesk.exchanges.sandbox.kraken_words import (
    KrakenError,
    description,
    integer,
    one_of_pairs,
    truth,
    words_for,
)
from missiondesk.exchanges.sandbox.orders import Fill, Order, RequestRefused
from missiondesk.exchanges.sandbox.pairs import asset_decimals, asset_id

Params = Mapping[str, Any]

_PAGE = 50
_MOST_TXIDS = 50


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
        request = order_request(params, pair, now)
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
        page = {fill.id: self._written(fill) for fill in found[offset : offset + _PAGE]}
        return {"trades": page} | ({} if truth(params, "without_count") else {"count": len(found)})

    def _query_trades(self, params: Params, now: float) -> Any:
        fills = {fill.id: fill for fill in self._exchange.fills}
        return {txid: self._written(fills[txid]) for txid in _txids(params) if txid in fills}

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
        listing = self._exchange.market.listing
        return {
            order.id: written_order(order, listing[order.request.symbol], with_trades) for order in orders
        }

    def _written(self, fill: Fill) -> dict[str, Any]:
        return written_trade(fill, self._exchange.market.listing[fill.symbol])

    def _worth_in_dollars(self, now: float) -> Decimal:
        market, total = self._exchange.market, Decimal(0)
        for asset, owned in self._exchange.balances.items():
            pair = market.listing.find(f"{asset}/USD")
            price = market.price(pair.symbol, now) if pair else Decimal(int(asset in {"USD", "USDT"}))
            total += owned * price
        return total


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
