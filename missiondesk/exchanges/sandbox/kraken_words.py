"""Kraken's vocabulary: errors, numbers and order descriptions as its REST API writes them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from missiondesk.exchanges.sandbox.market import Market
from missiondesk.exchanges.sandbox.orders import OrderRequest, Refusal
from missiondesk.exchanges.sandbox.pairs import Pair


class KrakenError(Exception):
    """An answer with an error in it; the text is Kraken's, e.g. `EGeneral:Invalid arguments`."""


_REFUSALS = {
    Refusal.UNKNOWN_PAIR: "EQuery:Unknown asset pair",
    Refusal.UNKNOWN_ORDER: "EOrder:Unknown order",
    Refusal.HALTED: "EService:Market in cancel_only mode",
    Refusal.DEADLINE_PASSED: "EService:Deadline elapsed",
    Refusal.CLIENT_ID_IN_USE: "EOrder:cl_ord_id already in use",
    Refusal.AMOUNT_TOO_PRECISE: "EGeneral:Invalid arguments:volume",
    Refusal.AMOUNT_TOO_SMALL: "EOrder:Order minimum not met",
    Refusal.COST_TOO_SMALL: "EOrder:Cost minimum not met",
    Refusal.PRICE_TOO_PRECISE: "EOrder:Invalid price",
    Refusal.INSUFFICIENT_FUNDS: "EOrder:Insufficient funds",
    Refusal.NOTHING_TO_REDUCE: "EOrder:Reduce only:No position exists",
}


def words_for(refusal: Refusal, pair: Pair) -> str:
    """Kraken's error for a refused order."""
    if refusal is Refusal.PRICE_TOO_PRECISE:
        allowed = f"{pair.altname} price can only be specified up to {pair.price_decimals} decimals"
        return f"{_REFUSALS[refusal]}:{allowed}."
    return _REFUSALS[refusal]


def one_of_pairs(market: Market, name: object) -> Pair:
    pair = market.listing.find(str(name)) if name else None
    if pair is None:
        raise KrakenError("EQuery:Unknown asset pair" if name else "EGeneral:Invalid arguments")
    return pair


def integer(params: Mapping[str, Any], name: str, default: int) -> int:
    text = str(params.get(name) or default)
    try:
        return int(text)
    except ValueError:
        raise KrakenError(f"EGeneral:Invalid arguments:{name}") from None


def positive(params: Mapping[str, Any], name: str) -> Decimal:
    try:
        number = Decimal(str(params.get(name)))
    except InvalidOperation:
        raise KrakenError(f"EGeneral:Invalid arguments:{name}") from None
    if not number.is_finite() or number <= 0:
        raise KrakenError(f"EGeneral:Invalid arguments:{name}")
    return number


def truth(params: Mapping[str, Any], name: str) -> bool:
    return str(params.get(name, "")).lower() in {"true", "1"}


def wire_price(price: Decimal | float, pair: Pair) -> str:
    """As tickers, books and trades have it: at least five decimals."""
    return f"{price:.{max(5, pair.price_decimals)}f}"


def description(request: OrderRequest, pair: Pair) -> str:
    """`buy 0.01000000 XBTUSD @ limit 50000.0`"""
    price = "market" if request.price is None else f"limit {request.price:.{pair.price_decimals}f}"
    return f"{request.side} {request.amount:.8f} {pair.altname} @ {price}"
