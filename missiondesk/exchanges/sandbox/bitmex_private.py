"""BitMEX's private REST endpoints: parameters in, the answer out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from missiondesk.exchanges.sandbox.bitmex_listing import HIGHEST_LEVERAGE
from missiondesk.exchanges.sandbox.bitmex_orders import order_request, written_execution, written_order
from missiondesk.exchanges.sandbox.bitmex_words import (
    ASSETS,
    REFUSALS,
    BitmexError,
    Params,
    filtered,
    instant,
    one_of_pairs,
    positive,
    smallest_units,
    stamp,
    whole,
)
from missiondesk.exchanges.sandbox.exchange import Exchange
from missiondesk.exchanges.sandbox.orders import Order, RequestRefused
from missiondesk.exchanges.sandbox.positions import Position

_MOST: Final = 500
_ZERO: Final = Decimal(0)


class BitmexPrivate:
    """Answers for the one account of an exchange. `now` is unix seconds; raises BitmexError."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.endpoints: Mapping[str, Callable[[Params, float], Any]] = {
            "GET user/margin": self._margins,
            "GET position": self._positions,
            "POST position/leverage": self._set_leverage,
            "GET order": self._orders,
            "POST order": self._place,
            "DELETE order": self._cancel,
            "GET execution/tradeHistory": self._executions,
        }

    def _margins(self, params: Params, now: float) -> Any:
        return [self._margin(asset, now) for asset in self._exchange.balances if asset in ASSETS]

    def _margin(self, asset: str, now: float) -> dict[str, Any]:
        """What is unrealised counts for the balance, and a loss against what is available."""
        owned, held = self._exchange.balances[asset], self._exchange.held(asset)
        unrealised = self._exchange.unrealised(asset, now)
        available = max(owned - held + min(unrealised, _ZERO), _ZERO)
        return {
            "account": 1,
            "currency": ASSETS[asset][1],
            "walletBalance": smallest_units(owned, asset),
            "unrealisedPnl": smallest_units(unrealised, asset),
            "marginBalance": smallest_units(owned + unrealised, asset),
            "availableMargin": smallest_units(available, asset),
            "timestamp": stamp(now),
        }

    def _positions(self, params: Params, now: float) -> Any:
        return [self._written_position(each, now) for each in self._exchange.positions]

    def _written_position(self, position: Position, now: float) -> dict[str, Any]:
        pair = self._exchange.market.listing[position.symbol]
        price, contract = self._exchange.market.price(position.symbol, now), pair.contract
        assert contract is not None, "BitMEX lists contracts"
        worth = contract.worth(position.amount, price)
        return {
            "account": 1,
            "symbol": pair.id,
            "currency": "XBt",
            "underlying": "XBT",
            "quoteCurrency": pair.quote,
            "leverage": float(position.leverage),
            "crossMargin": False,
            "currentQty": int(position.amount),
            "isOpen": bool(position.amount),
            "markPrice": float(price),
            "avgEntryPrice": float(position.entry_price) if position.amount else None,
            "homeNotional": float(worth),
            "foreignNotional": float(-position.amount),
            "initMargin": smallest_units(position.margin(contract), pair.money),
            "maintMargin": smallest_units(position.margin(contract), pair.money),
            "unrealisedPnl": smallest_units(self._exchange.gain(position, now), pair.money),
            "timestamp": stamp(now),
        }

    def _set_leverage(self, params: Params, now: float) -> Any:
        pair = one_of_pairs(self._exchange.market.listing, params)
        leverage = positive(params, "leverage")
        if leverage > HIGHEST_LEVERAGE:
            raise BitmexError(400, f"leverage must be at most {HIGHEST_LEVERAGE}")
        try:
            return self._written_position(self._exchange.set_leverage(pair.symbol, leverage), now)
        except RequestRefused as refused:
            raise BitmexError(400, REFUSALS[refused.refusal]) from None

    def _place(self, params: Params, now: float) -> Any:
        pair = one_of_pairs(self._exchange.market.listing, params)
        try:
            return self._written(self._exchange.place(order_request(params, pair), now))
        except RequestRefused as refused:
            raise BitmexError(400, REFUSALS[refused.refusal]) from None

    def _cancel(self, params: Params, now: float) -> Any:
        """An order that is done already is answered with it and an error."""
        order = self._exchange.order(str(params.get("orderID")))
        if order is None:
            raise BitmexError(404, "Not Found")
        try:
            return [self._written(self._exchange.cancel(order.id, now))]
        except RequestRefused:
            written = self._written(order)
            state = f"Unable to cancel order due to existing state: {written['ordStatus']}"
            return [written | {"error": state}]

    def _orders(self, params: Params, now: float) -> Any:
        """Oldest first."""
        since, only = instant(params, "startTime", 0.0), filtered(params)
        listing = self._exchange.market.listing
        symbol = one_of_pairs(listing, params).symbol if params.get("symbol") else None
        found = [
            order
            for order in self._exchange.orders
            if symbol in (None, order.request.symbol)
            and order.opened_at >= since
            and only.get("orderID") in (None, order.id)
            and only.get("clOrdID") in (None, order.request.client_id)
            and only.get("open") in (None, order.status == "open")
        ]
        return [self._written(order) for order in found[: whole(params, "count", 100, _MOST)]]

    def _executions(self, params: Params, now: float) -> Any:
        """Oldest first."""
        since, only = instant(params, "startTime", 0.0), filtered(params)
        found = [
            fill
            for fill in self._exchange.fills
            if fill.at >= since and only.get("orderID") in (None, fill.order_id)
        ]
        written = []
        for fill in found[: whole(params, "count", 100, _MOST)]:
            order = self._exchange.order(fill.order_id)
            assert order is not None, "fills have an order"
            written.append(written_execution(fill, order, self._exchange.market.listing[fill.symbol]))
        return written

    def _written(self, order: Order) -> dict[str, Any]:
        return written_order(order, self._exchange.market.listing[order.request.symbol])
