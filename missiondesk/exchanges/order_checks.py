"""What every venue refuses in an order, whatever the market does."""

from __future__ import annotations

from decimal import Decimal

from models.market import Instrument
from models.order import OrderType


def order_problem(
    instrument: Instrument,
    type: OrderType,
    amount: Decimal,
    price: Decimal | None,
    leverage: Decimal | None,
) -> str | None:
    """Why this is no order for this market; None when it is one. Some venues would round it silently."""
    symbol = instrument.symbol
    if (type == "limit") != (price is not None):
        return f"expected {'a' if type == 'limit' else 'no'} price with a {type} order, got {price}"
    if amount <= 0 or amount % instrument.lot:
        return f"expected an amount in steps of {instrument.lot:f} on {symbol}, got {amount:f}"
    if amount < instrument.min_amount:
        return f"expected at least {instrument.min_amount:f} on {symbol}, got {amount:f}"
    if price is not None and (price <= 0 or price % instrument.tick):
        return f"expected a price in steps of {instrument.tick:f} on {symbol}, got {price:f}"
    if leverage is not None and leverage != 1 and not instrument.is_contract:
        return f"expected no leverage on the spot market {symbol}, got {leverage:f}"
    return None
