"""The limits of an account, as a pure check over a frozen snapshot of what it has done and holds."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from models.account import Account

_ZERO = Decimal(0)


@dataclass(frozen=True)
class Activity:
    """What the limits look at, in quote units of the market traded.

    notional: of the order at hand. exposure_before and _after: of everything held and resting, without and
    with that order. day_gain: since UTC midnight, realised and unrealised, after the day's fees.
    """

    notional: Decimal
    orders_last_minute: int
    exposure_before: Decimal = _ZERO
    exposure_after: Decimal = _ZERO
    day_gain: Decimal = _ZERO


def over_limit(account: Account, activity: Activity, *, reduces: bool) -> str | None:
    """Which limit the order would pass, for a person; None when it may go. Reducing, only the rate counts."""
    rate = account.max_orders_per_minute
    if rate is not None and activity.orders_last_minute >= rate:
        sent = activity.orders_last_minute
        return f"max_orders_per_minute: {sent} orders in the last minute, allowed are {rate}"
    if reduces:
        return None
    if _passes(activity.notional, account.max_order_notional):
        worth = f"{activity.notional:.2f}"
        return f"max_order_notional: the order is worth {worth}, allowed are {account.max_order_notional}"
    if activity.exposure_after > activity.exposure_before and _passes(
        activity.exposure_after, account.max_open_exposure
    ):
        return (
            f"max_open_exposure: {activity.exposure_before:.2f} is open and would become "
            f"{activity.exposure_after:.2f}, allowed are {account.max_open_exposure}"
        )
    if account.max_daily_loss is not None and -activity.day_gain >= account.max_daily_loss:
        lost = f"{-activity.day_gain:.2f}"
        return f"max_daily_loss: {lost} lost since UTC midnight, allowed are {account.max_daily_loss}"
    return None


def _passes(value: Decimal, limit: Decimal | None) -> bool:
    return limit is not None and value > limit
