"""The prices at which a whole amount could be traded at once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from missiondesk.feeds.board import Board
from missiondesk.orders.notional import amount_of_base
from missiondesk.strategies.legs import Leg, Legs
from missiondesk.strategies.trader import Trader
from models.market import Level
from models.quote import Quote


def priced_for(base: Decimal, legs: Legs, trader: Trader, now: datetime) -> Board | None:
    """A board with the mean prices of trading that much base on each market, and with an empty side where the
    book holds less. None where the trader knows no books.
    """
    board = Board()
    for leg in (legs.lead, legs.cover):
        book = trader.order_book(leg.place)
        if book is None:
            return None
        bid, ask = mean_price(book.bids, base, leg), mean_price(book.asks, base, leg)
        board.put(Quote(*leg.place, bid, None, ask, None, book.at, now))
    return board


def mean_price(levels: Iterable[Level], base: Decimal, leg: Leg) -> Decimal | None:
    """Of taking that much base from the best level on; None when the levels hold less."""
    missing, worth = base, Decimal(0)
    for level in levels:
        part = min(level.amount / amount_of_base(leg.instrument, Decimal(1), level.price), missing)
        worth += part * level.price
        missing -= part
        if missing == 0:
            return worth / base
    return None
