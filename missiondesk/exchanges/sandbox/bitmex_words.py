"""BitMEX's vocabulary: errors, assets, numbers and instants as its v1 API writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from missiondesk.exchanges.sandbox.orders import Refusal
from missiondesk.exchanges.sandbox.pairs import Listing, Pair

Params = Mapping[str, Any]

ASSETS = {"BTC": ("XBT", "XBt", 8), "USDT": ("USDT", "USDt", 6)}
"""Its name, that of its smallest unit, and the decimals between them."""


class BitmexError(Exception):
    """An answer with an HTTP status and an error's message in it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


REFUSALS = {
    Refusal.UNKNOWN_PAIR: "symbol is invalid",
    Refusal.UNKNOWN_ORDER: "Not Found",
    Refusal.HALTED: "This symbol is not open for trading",
    Refusal.DEADLINE_PASSED: "This request has expired",
    Refusal.CLIENT_ID_IN_USE: "Duplicate clOrdID",
    Refusal.AMOUNT_TOO_PRECISE: "Order quantity must be a multiple of lot size",
    Refusal.AMOUNT_TOO_SMALL: "Order quantity must be a multiple of lot size",
    Refusal.COST_TOO_SMALL: "Order quantity must be a multiple of lot size",
    Refusal.PRICE_TOO_PRECISE: "Invalid price tickSize",
    Refusal.INSUFFICIENT_FUNDS: "Account has insufficient Available Balance",
    Refusal.NOTHING_TO_REDUCE: "Order had execInst of Close or ReduceOnly but current position is 0",
}


def one_of_pairs(listing: Listing, params: Params) -> Pair:
    pair = listing.find(str(params.get("symbol")))
    if pair is None:
        raise BitmexError(400, REFUSALS[Refusal.UNKNOWN_PAIR])
    return pair


def whole(params: Params, name: str, default: int, most: int) -> int:
    text = str(params.get(name) or default)
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise BitmexError(400, f"{name} must be a number from 1 to {most}")
    return int(text)


def positive(params: Params, name: str) -> Decimal:
    try:
        number = Decimal(str(params.get(name)))
    except InvalidOperation:
        raise BitmexError(400, f"{name} is invalid") from None
    if not number.is_finite() or number <= 0:
        raise BitmexError(400, f"{name} is invalid")
    return number


def instant(params: Params, name: str, default: float) -> float:
    """Unix seconds."""
    text = str(params.get(name) or "")
    if not text:
        return default
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise BitmexError(400, f"{name} is invalid") from None
    return at.replace(tzinfo=at.tzinfo or UTC).timestamp()


def truth(params: Params, name: str) -> bool:
    return str(params.get(name, "")).lower() == "true"


def filtered(params: Params) -> Mapping[str, Any]:
    try:
        asked = json.loads(params.get("filter") or "{}")
    except ValueError:
        asked = None
    if not isinstance(asked, dict):
        raise BitmexError(400, "filter is invalid")
    return asked


def stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def smallest_units(amount: Decimal, asset: str) -> int:
    """Satoshis of a coin."""
    return int(amount.scaleb(ASSETS[asset][2]))
