"""How much to order: what was asked for, turned into lots that fit. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from missiondesk.orders.notional import amount_of_base, amount_worth, below_minimum, round_amount
from models.market import Instrument
from models.order import TradeRequest

_ZERO = Decimal(0)
_ONE = Decimal(1)


@dataclass(frozen=True)
class Denied:
    """We refuse the order; `reason` says why, for a person. `amount`: what was refused, once it is known."""

    reason: str
    amount: Decimal = _ZERO


@dataclass(frozen=True)
class Means:
    """What an order is sized against.

    price: best ask or bid, or the limit price. slippage: fraction that a market order may get worse; 0 for a
    limit order. free: currency → free balance, None when it is not needed. reducible: how much of the holding
    the request's side may still reduce (0 when flat); None unless the request only reduces.
    """

    price: Decimal
    slippage: Decimal = _ZERO
    free: Mapping[str, Decimal] | None = None
    reducible: Decimal | None = None


def needs_balances(request: TradeRequest, instrument: Instrument) -> bool:
    """Whether sizing looks at free balances: percentages do, and spot sells that reduce a holding."""
    if request.reduce_only:
        return not instrument.is_contract
    return request.unit == "percent"


def misfit(request: TradeRequest, instrument: Instrument) -> str | None:
    """Why the request makes no sense on this market; None when it does."""
    symbol = request.symbol
    if not instrument.is_contract:
        if request.leverage is not None:
            return f"{symbol} is a spot market: long, short and leverage need a contract market"
        if request.unit == "contracts":
            return f"{symbol} is a spot market: expected an amount in base, quote or percent, got contracts"
    if request.amount <= 0:
        return f"expected an amount above 0, got {request.amount:f}"
    if request.unit == "percent" and request.amount > 100:
        return f"expected a percentage up to 100, got {request.amount:f}"
    return None


def size(request: TradeRequest, instrument: Instrument, means: Means) -> Decimal | Denied:
    """The amount to order in base units (contracts on contract markets), a whole number of lots.

    Fees and slippage fit inside quote amounts and percentages. Below the venue's minimum is Denied.
    """
    if (problem := misfit(request, instrument)) is not None:
        return Denied(problem)
    wanted = _wanted(request, instrument, means)
    if isinstance(wanted, Denied):
        return wanted
    return fit(wanted, request, instrument, means)


def fit(wanted: Decimal, request: TradeRequest, instrument: Instrument, means: Means) -> Decimal | Denied:
    """`wanted`, limited to what may be reduced, rounded down to the lot."""
    if means.reducible is not None:
        if means.reducible < instrument.lot:
            return Denied(f"no open position in {request.symbol} that a {request.side} would reduce")
        wanted = min(wanted, means.reducible)
        if not instrument.is_contract and means.free is not None:
            wanted = min(wanted, means.free.get(instrument.base, _ZERO))
    amount = round_amount(instrument, wanted)
    if (problem := below_minimum(instrument, amount, means.price)) is not None:
        return Denied(problem)
    return amount


def _wanted(request: TradeRequest, instrument: Instrument, means: Means) -> Decimal | Denied:
    match request.unit:
        case "base":
            return amount_of_base(instrument, request.amount, means.price)
        case "contracts":
            return request.amount
        case "quote":
            return _affordable(instrument, request.amount, means)
        case "percent":
            return _share(request, instrument, means)


def _share(request: TradeRequest, instrument: Instrument, means: Means) -> Decimal | Denied:
    fraction = request.amount / 100
    if means.reducible is not None:
        return means.reducible * fraction
    free = means.free or {}
    if instrument.is_contract:
        return _carried(request, instrument, means, fraction)
    currency = instrument.quote if request.side == "buy" else instrument.base
    available = free.get(currency, _ZERO)
    if available <= 0:
        return Denied(f"expected free {currency} to {request.side} {request.symbol} with, got none")
    if request.side == "sell":
        return available * fraction
    return _affordable(instrument, available * fraction, means)


def _carried(
    request: TradeRequest, instrument: Instrument, means: Means, fraction: Decimal
) -> Decimal | Denied:
    """What a share of the free margin carries at the request's leverage, with slippage and the dearer fee."""
    settle = instrument.settle or (instrument.base if instrument.inverse else instrument.quote)
    margin = (means.free or {}).get(settle, _ZERO)
    if margin <= 0:
        return Denied(f"expected free {settle} as margin to {request.side} {request.symbol}, got none")
    if settle == instrument.base:
        # The lower the price, the more coins a contract is worth.
        quote = margin * means.price * (_ONE - means.slippage)
    else:
        quote = margin / (_ONE + means.slippage)
    share = _ONE / (request.leverage or _ONE) + _dearer_fee(instrument)
    return amount_worth(instrument, quote * fraction / share, means.price)


def _affordable(instrument: Instrument, quote: Decimal, means: Means) -> Decimal:
    """The amount whose notional, with slippage and the dearer fee, is at most `quote`."""
    spendable = quote / ((_ONE + means.slippage) * (_ONE + _dearer_fee(instrument)))
    return amount_worth(instrument, spendable, means.price)


def _dearer_fee(instrument: Instrument) -> Decimal:
    return max(instrument.maker, instrument.taker, _ZERO)
