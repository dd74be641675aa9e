"""What every venue refuses in an order, whatever the market does."""

from __future__ import annotations

from decimal import Decimal

from models.market import Instrument
from models.order import OrderType


def order_problem(
    instrument: Instrument, type: OrderType, amount: Decimal, price: Decimal | None
) -> str | None:
    """Why this is no order for this market; None when it is one. Some venues would round it silently."""
    if (type == "limit") != (price is not None):
        return f"a {type} order takes {'a' if type == 'limit' else 'no'} price, got {price}"
    if amount <= 0 or amount % instrument.lot:
        return f"expected an amount in steps of {instrument.lot:f} on {instrument.symbol}, got {amount:f}"
    if amount < instrument.min_amount:
        return f"expected at least {instrument.min_amount:f} on {instrument.symbol}, got {amount:f}"
    if price is not None and (price <= 0 or price % instrument.tick):
        return f"expected a price in steps of {instrument.tick:f} on {instrument.symbol}, got {price:f}"
    return None
