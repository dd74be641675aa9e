"""OKX's private REST endpoints: parameters in, the `data` of the answer out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from missiondesk.exchanges.sandbox.exchange import Exchange
from missiondesk.exchanges.sandbox.okx_listing import instrument_id, instrument_type
from missiondesk.exchanges.sandbox.okx_orders import order_request, written_fill, written_order
from missiondesk.exchanges.sandbox.okx_words import (
    REFUSALS,
    Instruments,
    OkxError,
    Params,
    instant,
    milliseconds,
    parameter_error,
    plain,
    positive,
    whole,
)
from missiondesk.exchanges.sandbox.orders import Order, RequestRefused
from missiondesk.exchanges.sandbox.positions import Position

_PAGE: Final = 100
_HIGHEST_LEVERAGE: Final = 125


class OkxPrivate:
    """Answers for the one account of an exchange. `now` is unix seconds; raises OkxError."""

    def __init__(self, exchange: Exchange, instruments: Instruments) -> None:
        self._exchange = exchange
        self._instruments = instruments
        self.endpoints: Mapping[str, Callable[[Any, float], list[Any]]] = {
            "GET account/config": self._config,
            "GET account/balance": self._balance,
            "GET account/positions": self._positions,
            "GET account/leverage-info": self._leverage,
            "POST account/set-leverage": self._set_leverage,
            "GET asset/currencies": self._currencies,
            "POST trade/order": lambda params, now: [self._placed(params, now)],
            "POST trade/batch-orders": lambda orders, now: [self._placed(params, now) for params in orders],
            "POST trade/cancel-order": self._cancel,
            "GET trade/order": self._order,
            "GET trade/orders-pending": self._pending,
            "GET trade/orders-history": self._history,
            "GET trade/orders-history-archive": self._history,
            "GET trade/fills": self._fills,
            "GET trade/fills-history": self._fills,
        }

    def _config(self, params: Params, now: float) -> list[Any]:
        return [{"acctLv": "2", "posMode": "net_mode", "uid": "1", "level": "Lv1", "perm": "read_only,trade"}]

    def _currencies(self, params: Params, now: float) -> list[Any]:
        assets = sorted({*self._exchange.market.listing.assets, *self._exchange.balances})
        return [
            {"ccy": asset, "chain": asset, "name": asset, "canDep": True, "canWd": True, "wdTickSz": "8"}
            for asset in assets
        ]

    def _balance(self, params: Params, now: float) -> list[Any]:
        details = [self._detail(asset, owned, now) for asset, owned in self._exchange.balances.items()]
        return [{"uTime": milliseconds(now), "totalEq": "", "details": details}]

    def _detail(self, asset: str, owned: Decimal, now: float) -> dict[str, str]:
        """What is unrealised counts for the equity, and a loss against what is available."""
        held, unrealised = self._exchange.held(asset), self._exchange.unrealised(asset, now)
        available = max(owned - held + min(unrealised, Decimal(0)), Decimal(0))
        return {
            "ccy": asset,
            "cashBal": plain(owned),
            "eq": plain(owned + unrealised),
            "availBal": plain(available),
            "availEq": plain(available),
            "frozenBal": plain(held),
            "upl": plain(unrealised),
            "uTime": milliseconds(now),
        }

    def _positions(self, params: Params, now: float) -> list[Any]:
        return [self._position(each, now) for each in self._exchange.positions if each.amount]

    def _position(self, position: Position, now: float) -> dict[str, str]:
        pair = self._exchange.market.listing[position.symbol]
        price = self._exchange.market.price(position.symbol, now)
        contract = pair.contract
        assert contract is not None, "only contracts have positions"
        margin = position.margin(contract)
        gain = self._exchange.gain(position, now)
        return {
            "instType": instrument_type(pair),
            "instId": instrument_id(pair),
            "mgnMode": "cross",
            "posId": instrument_id(pair),
            "posSide": "net",
            "pos": plain(position.amount),
            "ccy": pair.money,
            "lever": plain(position.leverage),
            "avgPx": plain(position.entry_price),
            "markPx": plain(price),
            "last": plain(price),
            "liqPx": "",
            "imr": plain(margin),
            "mmr": plain(margin / 2),
            "margin": "",
            "notionalUsd": plain(contract.face(abs(position.amount), price)),
            "upl": plain(gain),
            "uplRatio": plain(gain / margin) if margin else "0",
            "cTime": milliseconds(now),
            "uTime": milliseconds(now),
        }

    def _leverage(self, params: Params, now: float) -> list[Any]:
        pair = self._instruments.find(params, now)
        lever = plain(self._exchange.position(pair.symbol).leverage)
        return [{"instId": instrument_id(pair), "mgnMode": "cross", "posSide": "net", "lever": lever}]

    def _set_leverage(self, params: Params, now: float) -> list[Any]:
        pair, leverage = self._instruments.find(params, now), positive(params, "lever")
        if pair.contract is None or params.get("mgnMode") != "cross":
            raise parameter_error("mgnMode")
        if not 1 <= leverage <= _HIGHEST_LEVERAGE:
            raise OkxError("59102", "Leverage exceeds the maximum leverage. Please lower the leverage.")
        try:
            self._exchange.set_leverage(pair.symbol, leverage)
        except RequestRefused:
            raise OkxError("59108", "Your account leverage is too low and has insufficient margin.") from None
        return self._leverage(params, now)

    def _placed(self, params: Params, now: float) -> dict[str, str]:
        """The answer to one order, with its error in it when there is one."""
        answer = {"clOrdId": str(params.get("clOrdId") or ""), "tag": "", "ts": milliseconds(now)}
        try:
            request = order_request(params, self._instruments.find(params, now))
            order = self._exchange.place(request, now)
        except RequestRefused as refused:
            code, message = REFUSALS[refused.refusal]
            return answer | {"ordId": "", "sCode": code, "sMsg": message}
        except OkxError as error:
            return answer | {"ordId": "", "sCode": error.code, "sMsg": error.message}
        return answer | {"ordId": order.id, "sCode": "0", "sMsg": ""}

    def _cancel(self, params: Params, now: float) -> list[Any]:
        answer = {"ordId": str(params.get("ordId") or ""), "clOrdId": str(params.get("clOrdId") or "")}
        order = self._meant(params)
        try:
            self._exchange.cancel(order.id if order is not None else "", now)
        except RequestRefused as refused:
            code, message = REFUSALS[refused.refusal]
            return [answer | {"sCode": code, "sMsg": message}]
        return [answer | {"sCode": "0", "sMsg": ""}]

    def _order(self, params: Params, now: float) -> list[Any]:
        order = self._meant(params)
        if order is None:
            raise OkxError("51603", "Order does not exist")
        return [self._written(order)]

    def _pending(self, params: Params, now: float) -> list[Any]:
        return self._page((order for order in self._exchange.orders if order.status == "open"), params)

    def _history(self, params: Params, now: float) -> list[Any]:
        if params.get("instType") not in ("SPOT", "SWAP", "FUTURES"):
            raise parameter_error("instType")
        done = (order for order in self._exchange.orders if order.status != "open")
        return self._page(done, params)

    def _page(self, orders: Iterable[Order], params: Params) -> list[Any]:
        """The newest ones first: of one kind, instrument and state, if asked, and between two instants."""
        first, last = instant(params, "begin", 0.0), instant(params, "end", float("inf"))
        wanted = {name: params[name] for name in ("instType", "instId", "state") if params.get(name)}
        written = (self._written(order) for order in orders if first <= order.opened_at <= last)
        found = [each for each in written if all(each[name] == value for name, value in wanted.items())]
        return found[::-1][: whole(params, "limit", _PAGE, _PAGE)]

    def _fills(self, params: Params, now: float) -> list[Any]:
        first, last = instant(params, "begin", 0.0), instant(params, "end", float("inf"))
        found = []
        for fill in reversed(self._exchange.fills):
            order = self._exchange.order(fill.order_id)
            assert order is not None, "fills have an order"
            written = written_fill(fill, order, self._exchange.market.listing[fill.symbol])
            asked = params.get("instId") in (None, "", written["instId"])
            if asked and params.get("ordId") in (None, "", fill.order_id) and first <= fill.at <= last:
                found.append(written)
        return found[: whole(params, "limit", _PAGE, _PAGE)]

    def _meant(self, params: Params) -> Order | None:
        """The order that `ordId` or, without one, `clOrdId` names; the newest of several."""
        if params.get("ordId"):
            return self._exchange.order(str(params["ordId"]))
        client_id = params.get("clOrdId")
        orders = reversed(self._exchange.orders)
        return next((order for order in orders if client_id and order.request.client_id == client_id), None)

    def _written(self, order: Order) -> dict[str, Any]:
        pair = self._exchange.market.listing[order.request.symbol]
        return written_order(order, pair, self._exchange.position(pair.symbol).leverage)
