"""What an account's book adds up to: the Activity that its limits are checked against. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from missiondesk.orders.entry import Holding, holding_after
from missiondesk.orders.limits import Activity
from missiondesk.orders.notional import gain, notional
from models.market import Instrument, Side
from models.order import Order

_ZERO = Decimal(0)

Market = tuple[str, str]
"""(exchange, symbol)."""


@dataclass(frozen=True)
class Mark:
    """A market and the price its holdings are valued at."""

    instrument: Instrument
    price: Decimal


@dataclass(frozen=True)
class Draft:
    """An order about to be intended. `price` is the worst it may trade at, slippage included."""

    instrument: Instrument
    side: Side
    amount: Decimal
    price: Decimal


def by_market(book: Iterable[Order]) -> dict[Market, list[Order]]:
    """Orders of each market, in the order given."""
    markets: defaultdict[Market, list[Order]] = defaultdict(list)
    for order in book:
        markets[order.exchange, order.symbol].append(order)
    return dict(markets)


def activity(
    draft: Draft,
    book: Sequence[Order],
    marks: Mapping[Market, Mark],
    orders_last_minute: int,
    midnight: datetime,
) -> Activity:
    """The account's activity with the draft. `book` holds its orders that rest or have filled, oldest first.

    `marks` covers the markets that count, the draft's own included; orders on others (another quote currency)
    are left out. Without marks, exposure and gain are 0.
    """
    own = (draft.instrument.exchange, draft.instrument.symbol)
    before = after = day_gain = _ZERO
    books = by_market(book)
    for market, mark in marks.items():
        orders = books.get(market, [])
        holding = holding_after(orders, mark.instrument, since=midnight)
        day_gain += _day_gain(orders, holding, mark, midnight)
        buys, sells = _resting(orders)
        worst = replace(mark, price=max(mark.price, draft.price)) if market == own else mark
        before += _exposure(holding, buys, sells, worst)
        if market == own:
            buys += draft.amount if draft.side == "buy" else _ZERO
            sells += draft.amount if draft.side == "sell" else _ZERO
        after += _exposure(holding, buys, sells, worst)
    return Activity(
        notional=notional(draft.instrument, draft.amount, draft.price),
        orders_last_minute=orders_last_minute,
        exposure_before=before,
        exposure_after=after,
        day_gain=day_gain,
    )


def reducible(orders: Sequence[Order], instrument: Instrument, side: Side) -> Decimal:
    """How much of the holding that `orders` left an order on `side` may still close; 0 when flat or beyond.

    What resting reducing orders are about to close is taken off.
    """
    amount = holding_after(orders, instrument).amount
    held = max(amount if side == "sell" else -amount, _ZERO)
    closing = (
        order.remaining
        for order in orders
        if order.reduce_only and order.side == side and not order.status.is_final
    )
    return max(held - sum(closing, _ZERO), _ZERO)


def _resting(orders: Iterable[Order]) -> tuple[Decimal, Decimal]:
    buys = sells = _ZERO
    for order in orders:
        if not order.status.is_final:
            buys += order.remaining if order.side == "buy" else _ZERO
            sells += order.remaining if order.side == "sell" else _ZERO
    return buys, sells


def _exposure(holding: Holding, buys: Decimal, sells: Decimal, mark: Mark) -> Decimal:
    """The most that can be open once everything resting has filled; spot can't be short."""
    most = max(holding.amount + buys, _ZERO)
    if mark.instrument.is_contract:
        most = max(most, sells - holding.amount)
    return notional(mark.instrument, most, mark.price)


def _day_gain(orders: Iterable[Order], holding: Holding, mark: Mark, midnight: datetime) -> Decimal:
    fees = sum((order.fee for order in orders if order.updated_at >= midnight), _ZERO)
    unrealised = _ZERO
    if holding.amount != 0 and holding.entry_price > 0:
        unrealised = gain(mark.instrument, holding.amount, holding.entry_price, mark.price)
    return holding.realised + unrealised - fees
