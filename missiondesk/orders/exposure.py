"""What an account's book adds up to: the Activity that its limits are checked against. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

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
    """A market and the price its holdings are valued at now; `opening` is the one at the day's start.

    `opening` None: not known, which it need not be when nothing was carried over.
    """

    instrument: Instrument
    price: Decimal
    opening: Decimal | None = None


@dataclass(frozen=True)
class Carried:
    """What all orders of one market that settled before today add up to, sells below zero.

    `lowest`: the lowest that sum ever was, at most 0.
    """

    total: Decimal
    lowest: Decimal = _ZERO

    def amount(self, instrument: Instrument) -> Decimal:
        """What of it was held as the day began: spot can't be short, what went below zero was not ours."""
        return self.total if instrument.is_contract else self.total - self.lowest


class Entry(NamedTuple):
    """What of an order counts in a book; as it may have hundreds, it is less than an Order."""

    exchange: str
    symbol: str
    side: Side
    amount: Decimal
    filled: Decimal
    average: Decimal | None
    price: Decimal | None
    fee: Decimal
    settled: bool


def day_began(now: datetime) -> datetime:
    """The last midnight, UTC."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


@dataclass(frozen=True)
class Book:
    """An account's orders that rest, or have filled and were last heard of today, in the order they were
    sent; and of each market what the earlier ones left. A day begins at midnight UTC.
    """

    orders: Sequence[Entry] = ()
    carried: Mapping[Market, Carried] = field(default_factory=dict)

    @property
    def markets(self) -> frozenset[Market]:
        return frozenset((order.exchange, order.symbol) for order in self.orders) | self.carried.keys()

    def of(self, market: Market) -> list[Entry]:
        return [order for order in self.orders if (order.exchange, order.symbol) == market]

    def carries(self, market: Market, instrument: Instrument) -> Decimal:
        """The signed amount that was held as the day began."""
        return self.carried[market].amount(instrument) if market in self.carried else _ZERO


@dataclass(frozen=True)
class Draft:
    """An order about to be intended. `price` is the most it may trade at, slippage included.

    A buy at a limit trades there at most, a sell at a limit trades at the best bid if that is higher.
    """

    instrument: Instrument
    side: Side
    amount: Decimal
    price: Decimal


def activity(draft: Draft, book: Book, marks: Mapping[Market, Mark], orders_last_minute: int) -> Activity:
    """The account's activity with the draft.

    `marks` covers the markets that count, the draft's own included; orders on others (another quote currency)
    are left out. Without marks, exposure and gain are 0.
    """
    own = (draft.instrument.exchange, draft.instrument.symbol)
    before = after = day_gain = _ZERO
    for market, mark in marks.items():
        orders = book.of(market)
        carried = Holding(book.carries(market, mark.instrument), mark.opening or _ZERO)
        holding = holding_after(orders, mark.instrument, carried)
        day_gain += _day_gain(orders, holding, mark)
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


def reducible(
    orders: Sequence[Order],
    instrument: Instrument,
    side: Side,
    position: Decimal | None = None,
    *,
    whole: bool = False,
) -> Decimal:
    """How much of the holding that `orders` left an order on `side` may still close; 0 when flat or beyond.

    What resting reducing orders are about to close is taken off. `position`: what the venue shows, in signed
    contracts; it is never more than that, and all of that when `whole`.
    """
    held = _on_side(holding_after(orders, instrument).amount, side)
    if position is not None:
        shown = _on_side(position, side)
        held = shown if whole else min(held, shown)
    closing = (
        order.remaining
        for order in orders
        if order.reduce_only and order.side == side and not order.status.is_final
    )
    return max(held - sum(closing, _ZERO), _ZERO)


def unsold(orders: Sequence[Order], instrument: Instrument) -> Decimal:
    """How much of the spot holding that `orders` left no resting sell is about to sell."""
    held = holding_after(orders, instrument).amount
    selling = (order.remaining for order in orders if order.side == "sell" and not order.status.is_final)
    return max(held - sum(selling, _ZERO), _ZERO)


def _on_side(amount: Decimal, side: Side) -> Decimal:
    """What an order on this side would close."""
    return max(amount if side == "sell" else -amount, _ZERO)


def _resting(orders: Iterable[Entry]) -> tuple[Decimal, Decimal]:
    buys = sells = _ZERO
    for order in orders:
        if not order.settled:
            remaining = order.amount - order.filled
            buys += remaining if order.side == "buy" else _ZERO
            sells += remaining if order.side == "sell" else _ZERO
    return buys, sells


def _exposure(holding: Holding, buys: Decimal, sells: Decimal, mark: Mark) -> Decimal:
    """The most that can be open once everything resting has filled; spot can't be short."""
    most = max(holding.amount + buys, _ZERO)
    if mark.instrument.is_contract:
        most = max(most, sells - holding.amount)
    return notional(mark.instrument, most, mark.price)


def _day_gain(orders: Iterable[Entry], holding: Holding, mark: Mark) -> Decimal:
    """What was carried over counts from its price as the day began, what was bought since from its own."""
    fees = sum((order.fee for order in orders), _ZERO)
    unrealised = _ZERO
    if holding.amount != 0 and holding.entry_price > 0:
        unrealised = gain(mark.instrument, holding.amount, holding.entry_price, mark.price)
    return holding.realised + unrealised - fees
