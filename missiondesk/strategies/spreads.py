"""The distance between two markets: as quoted, and as it could be traded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from missiondesk.feeds.board import Best, Board, Place
from models.errors import DataStale


@dataclass(frozen=True)
class Spread:
    """Between markets a and b, in quote units for one unit of base; None where a side may not be priced.

    ask_diff: a.ask − b.ask. bid_diff: a.bid − b.bid. sell_a: a.bid − b.ask less the taker fees of both.
    sell_b: b.bid − a.ask less the same. skipped: why a side was left out.
    """

    ask_diff: Decimal | None
    bid_diff: Decimal | None
    sell_a: Decimal | None
    sell_b: Decimal | None
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pair:
    """Two markets with their taker fees, as fractions of the notional."""

    a: Place
    b: Place
    fee_a: Decimal = Decimal(0)
    fee_b: Decimal = Decimal(0)

    def spread(self, board: Board, now: datetime) -> Spread:
        skipped: list[str] = []
        a_bid, a_ask = _sides(board, self.a, now, skipped)
        b_bid, b_ask = _sides(board, self.b, now, skipped)
        return Spread(
            ask_diff=None if a_ask is None or b_ask is None else a_ask.price - b_ask.price,
            bid_diff=None if a_bid is None or b_bid is None else a_bid.price - b_bid.price,
            sell_a=executable(a_bid, self.fee_a, b_ask, self.fee_b),
            sell_b=executable(b_bid, self.fee_b, a_ask, self.fee_a),
            skipped=tuple(dict.fromkeys(skipped)),
        )


def executable(bid: Best | None, bid_fee: Decimal, ask: Best | None, ask_fee: Decimal) -> Decimal | None:
    """What selling at `bid` and buying at `ask` leaves after both taker fees."""
    if bid is None or ask is None:
        return None
    return bid.price * (1 - bid_fee) - ask.price * (1 + ask_fee)


def _sides(board: Board, place: Place, now: datetime, skipped: list[str]) -> tuple[Best | None, Best | None]:
    bid = ask = None
    try:
        bid = board.best(place, "bid", now)
    except DataStale as stale:
        skipped.append(str(stale))
    try:
        ask = board.best(place, "ask", now)
    except DataStale as stale:
        skipped.append(str(stale))
    return bid, ask
