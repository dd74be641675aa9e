"""What a person reads about the orders of a place."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import assert_never

from missiondesk.orders.entry import fill_price
from models.order import Order, OrderProgress, OrderStatus

_ZERO = Decimal(0)


def done(attempts: Sequence[Order]) -> OrderProgress:
    """The place is filled, over however many attempts."""
    filled, average = _fills(attempts)
    last = attempts[-1]
    tries = "" if len(attempts) == 1 else f" in {len(attempts)} orders"
    at = "" if average is None else f" at {_plain(average)}"
    message = f"{_verb(last.side)} {_plain(filled)} {last.symbol}{at}{tries}, {last.mode}"
    return OrderProgress(True, "FILLED", message, filled, average, last)


def not_done(attempts: Sequence[Order], absent_after: datetime) -> OrderProgress:
    """The newest attempt has not filled the place. `absent_after`: how long an unknown one is looked for."""
    filled, average = _fills(attempts)
    last = attempts[-1]
    rule, message = _said(last, absent_after)
    return OrderProgress(False, rule, message, filled, average, last)


def describe(order: Order) -> str:
    """`buy 0.1 BTC/USD at 20000` or `… at market`."""
    price = "market" if order.price is None else _plain(order.price)
    return f"{order.side} {_plain(order.amount)} {order.symbol} at {price}"


def _said(order: Order, absent_after: datetime) -> tuple[str, str]:
    because = f": {order.reason}" if order.reason else ""
    match order.status:
        case OrderStatus.OPEN:
            number = f" as {order.exchange_order_id}" if order.exchange_order_id else ""
            return "OPEN", (
                f"{describe(order)} rests at {order.exchange}{number}, "
                f"{_plain(order.filled)} of {_plain(order.amount)} filled{because}"
            )
        case OrderStatus.SENT | OrderStatus.UNKNOWN | OrderStatus.INTENT:
            return "UNKNOWN", (
                f"no answer yet about {describe(order)} (client id {order.client_order_id}){because}; "
                f"nothing else is sent while it may turn up, until {absent_after:%Y-%m-%d %H:%M:%S} UTC"
            )
        case OrderStatus.DENIED:
            return "DENIED", order.reason
        case OrderStatus.REJECTED:
            return "REJECTED", f"{order.exchange} refused {describe(order)}{because}"
        case OrderStatus.CANCELLED:
            return "CANCELLED", f"{describe(order)} ended with {_plain(order.filled)} filled{because}"
        case OrderStatus.FILLED:
            return "CANCELLED", f"{describe(order)} filled; the rest is ordered at the next tick"
        case _:
            assert_never(order.status)


def _fills(attempts: Sequence[Order]) -> tuple[Decimal, Decimal | None]:
    filled = sum((order.filled for order in attempts), _ZERO)
    if filled == 0:
        return filled, None
    return filled, sum((order.filled * fill_price(order) for order in attempts), _ZERO) / filled


def _verb(side: str) -> str:
    return "bought" if side == "buy" else "sold"


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"
