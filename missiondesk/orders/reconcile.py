"""What to do next for a place's orders, and what an order becomes after a look at the venue. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from missiondesk.orders.entry import fill_price
from missiondesk.orders.notional import below_minimum, round_amount
from missiondesk.orders.patience import Patience
from models.market import Instrument
from models.order import ExchangeOrder, Order, OrderStatus

_ZERO = Decimal(0)


@dataclass(frozen=True)
class Discard:
    """The order was never sent and never will be."""

    order: Order


@dataclass(frozen=True)
class LookUp:
    """Ask the venue about the order before anything else; cancel it there if it rests and is `overdue`."""

    order: Order
    overdue: bool


@dataclass(frozen=True)
class Send:
    """Every earlier attempt is final. `remainder` None: nothing is filled yet, the amount is sized anew.

    `denied` is the newest attempt if it was denied: it was never sent, so another denial may take its place.
    """

    attempt: int
    remainder: Decimal | None = None
    denied: Order | None = None


@dataclass(frozen=True)
class Done:
    """Filled to within one lot, or what is left is below the venue's minimum."""


NextStep = Discard | LookUp | Send | Done


def next_step(
    attempts: Sequence[Order], instrument: Instrument, timeout_seconds: float | None, now: datetime
) -> NextStep:
    """The one thing to do for a place whose attempts, oldest first, stand as given."""
    if not attempts:
        return Send(0)
    last = attempts[-1]
    if last.status is OrderStatus.INTENT:
        return Discard(last)
    if not last.status.is_final:
        return LookUp(last, _overdue(last, timeout_seconds, now))
    denied = last if last.status is OrderStatus.DENIED else None
    remainder = remainder_of(attempts)
    if remainder is None:
        return Send(last.attempt + 1, denied=denied)
    remainder = round_amount(instrument, max(remainder, _ZERO))
    newest_fill = next(order for order in reversed(attempts) if order.filled > 0)
    if remainder == 0 or below_minimum(instrument, remainder, fill_price(newest_fill)):
        return Done()
    return Send(last.attempt + 1, remainder, denied)


def remainder_of(attempts: Sequence[Order]) -> Decimal | None:
    """What is left of the amount that the first attempt with a fill fixed; None when nothing is filled."""
    goal = next((order.amount for order in attempts if order.filled > 0), None)
    return None if goal is None else goal - sum((order.filled for order in attempts), _ZERO)


def after_report(order: Order, report: ExchangeOrder, lot: Decimal) -> Order:
    """The order as the venue shows it. Fills never shrink: a report older than what is known changes none.

    `lot`: 0 for a market that is no longer listed.
    """
    if report.filled >= order.filled:
        order = order.model_copy(
            update={
                "filled": report.filled,
                "average": report.average or order.average,
                "cost": report.cost,
                "fee": report.fee,
            }
        )
    status, reason = _status_of(order, report, lot)
    return order.model_copy(
        update={"status": status, "reason": reason, "exchange_order_id": report.exchange_order_id}
    )


def after_absence(order: Order, asked_at: datetime, patience: Patience) -> Order:
    """The order after a look-up, begun at `asked_at`, that found it nowhere at the venue.

    One that was acknowledged before is first held as unknown, as if it had just been sent.
    """
    if order.status is OrderStatus.OPEN:
        reason = "the venue shows it no longer"
        return order.model_copy(
            update={"status": OrderStatus.UNKNOWN, "reason": reason, "deadline": asked_at}
        )
    if asked_at <= absent_after(order, patience):
        return order.model_copy(update={"status": OrderStatus.UNKNOWN})
    reason = "never reached the venue" if order.exchange_order_id is None else "gone from the venue"
    return order.model_copy(update={"status": OrderStatus.CANCELLED, "reason": reason})


def absent_after(order: Order, patience: Patience) -> datetime:
    """From when on an order that is nowhere at the venue can't turn up any more."""
    sent_by = order.deadline or (order.sent_at or order.created_at) + patience.send_window
    return sent_by + patience.absence_margin


def _overdue(order: Order, timeout_seconds: float | None, now: datetime) -> bool:
    if timeout_seconds is None:
        return False
    return now >= (order.sent_at or order.created_at) + timedelta(seconds=timeout_seconds)


def _status_of(order: Order, report: ExchangeOrder, lot: Decimal) -> tuple[OrderStatus, str]:
    filled = order.remaining < lot or order.remaining <= 0
    if report.status != "open" and order.filled > 0 and filled:
        return OrderStatus.FILLED, ""
    match report.status:
        case "open":
            return OrderStatus.OPEN, ""
        case "closed":
            return (
                OrderStatus.CANCELLED,
                f"the venue closed it with {order.filled:f} of {order.amount:f} filled",
            )
        case "cancelled":
            return OrderStatus.CANCELLED, "cancelled at the venue"
        case "rejected":
            return OrderStatus.REJECTED, "the venue refused it"
