"""What an amount is worth: spot and linear contracts in quote units, inverse contracts by their face value.

Amounts are base units on spot markets and contracts on contract markets; prices are quote per base.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from models.market import Instrument, Side


def notional(instrument: Instrument, amount: Decimal, price: Decimal) -> Decimal:
    """Quote units that `amount` stands for at `price`."""
    if instrument.inverse:
        return amount * instrument.contract_size
    return amount * instrument.contract_size * price


def amount_worth(instrument: Instrument, quote: Decimal, price: Decimal) -> Decimal:
    """The amount, not yet rounded, that stands for `quote` quote units at `price`."""
    if instrument.inverse:
        return quote / instrument.contract_size
    return quote / (instrument.contract_size * price)


def amount_of_base(instrument: Instrument, base: Decimal, price: Decimal) -> Decimal:
    """The amount, not yet rounded, that stands for `base` base units at `price`."""
    if instrument.inverse:
        return base * price / instrument.contract_size
    return base / instrument.contract_size


def gain(instrument: Instrument, amount: Decimal, entry: Decimal, price: Decimal) -> Decimal:
    """Profit in quote units of a signed amount (negative = short) entered at `entry`, now at `price`.

    An inverse contract earns base units, amount · size · (1/entry − 1/price); they are valued at `price`.
    """
    if instrument.inverse:
        return amount * instrument.contract_size * (price / entry - 1)
    return amount * instrument.contract_size * (price - entry)


def round_amount(instrument: Instrument, amount: Decimal) -> Decimal:
    """Down to the lot."""
    return _steps(amount, instrument.lot, ROUND_FLOOR)


def round_price(instrument: Instrument, price: Decimal, side: Side) -> Decimal:
    """To the tick, never worse than asked: a buy's limit down, a sell's up."""
    return _steps(price, instrument.tick, ROUND_FLOOR if side == "buy" else ROUND_CEILING)


def below_minimum(instrument: Instrument, amount: Decimal, price: Decimal) -> str | None:
    """Why the venue would refuse so small an amount; None when it is large enough."""
    unit = "contracts" if instrument.is_contract else instrument.base
    if amount < max(instrument.min_amount, instrument.lot):
        least = f"{instrument.min_amount:f} {unit} of {instrument.symbol}"
        return f"{amount:f} {unit} is below the minimum of {least}"
    worth = notional(instrument, amount, price)
    if worth < instrument.min_cost:
        return (
            f"{amount:f} {unit} is worth {worth:f} {instrument.quote}, "
            f"below the minimum of {instrument.min_cost:f} {instrument.quote} of {instrument.symbol}"
        )
    return None


def _steps(value: Decimal, step: Decimal, rounding: str) -> Decimal:
    if step <= 0:
        return value
    return (value / step).to_integral_value(rounding) * step
