"""OKX's vocabulary: errors, numbers and instruments as its v5 API writes them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from missiondesk.exchanges.sandbox.okx_listing import instrument_id
from missiondesk.exchanges.sandbox.orders import Refusal
from missiondesk.exchanges.sandbox.pairs import Listing, Pair

Params = Mapping[str, Any]


class OkxError(Exception):
    """An answer with an error in it, e.g. code 51008; `status` is the HTTP status it comes with."""

    def __init__(self, code: str, message: str, status: int = 200) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


REFUSALS = {
    Refusal.UNKNOWN_PAIR: ("51001", "Instrument ID does not exist."),
    Refusal.UNKNOWN_ORDER: ("51400", "Cancellation failed as the order does not exist."),
    Refusal.HALTED: ("51027", "Trading of this contract is suspended."),
    Refusal.DEADLINE_PASSED: ("51143", "The request has expired."),
    Refusal.CLIENT_ID_IN_USE: ("51016", "Client order ID already exists."),
    Refusal.AMOUNT_TOO_PRECISE: ("51121", "Order quantity must be a multiple of the lot size."),
    Refusal.AMOUNT_TOO_SMALL: ("51020", "Your order should meet or exceed the minimum order amount."),
    Refusal.COST_TOO_SMALL: ("51020", "Your order should meet or exceed the minimum order amount."),
    Refusal.PRICE_TOO_PRECISE: ("51112", "The price is not a multiple of the tick size."),
    Refusal.INSUFFICIENT_FUNDS: ("51008", "Order failed. Insufficient balance or margin in account."),
    Refusal.NOTHING_TO_REDUCE: (
        "51169",
        "Order failed because you don't have any positions in this direction to reduce or close.",
    ),
}


class Instruments:
    """The pairs of a listing by OKX's names for them."""

    def __init__(self, listing: Listing) -> None:
        self._pairs = {instrument_id(pair): pair for pair in listing}

    def listed(self, now: float) -> list[Pair]:
        return [pair for pair in self._pairs.values() if pair.trades_at(now)]

    def find(self, params: Params, now: float) -> Pair:
        """The one that `instId` names; raises OkxError unless it is listed."""
        pair = self._pairs.get(str(params.get("instId")))
        if pair is None or not pair.trades_at(now):
            raise OkxError(*REFUSALS[Refusal.UNKNOWN_PAIR])
        return pair


def parameter_error(name: str) -> OkxError:
    return OkxError("51000", f"Parameter {name} error")


def whole(params: Params, name: str, default: int, most: int) -> int:
    text = str(params.get(name) or default)
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise parameter_error(name)
    return int(text)


def instant(params: Params, name: str, default: float) -> float:
    """Unix seconds of a parameter in milliseconds."""
    text = str(params.get(name) or "")
    if not text:
        return default
    if not text.isdecimal():
        raise parameter_error(name)
    return int(text) / 1000


def positive(params: Params, name: str) -> Decimal:
    try:
        number = Decimal(str(params.get(name)))
    except InvalidOperation:
        raise parameter_error(name) from None
    if not number.is_finite() or number <= 0:
        raise parameter_error(name)
    return number


def milliseconds(seconds: float | None) -> str:
    return "" if seconds is None else str(round(seconds * 1000))


def plain(number: Decimal) -> str:
    return f"{number.normalize():f}" if number else "0"
