"""A future or another index against spot: open and close by its premium."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, Literal

from missiondesk.feeds.board import Board, Place
from missiondesk.strategies.report import Kind, Report
from missiondesk.strategies.rules import Held, Move, Step
from models.errors import DataStale

_SIDES: Final[Sequence[Literal["bid", "ask"]]] = ("bid", "ask")


def premium(index: Decimal, spot_bid: Decimal, spot_ask: Decimal) -> Decimal:
    """(index − middle of the spot book) / that middle. Raises ValueError for prices that are not above 0."""
    if min(index, spot_bid, spot_ask) <= 0:
        raise ValueError(f"expected prices above 0, got {index}, {spot_bid} and {spot_ask}")
    middle = (spot_bid + spot_ask) / 2
    return (index - middle) / middle


def quoted_premium(board: Board, index: Place, spot: Place, now: datetime) -> Decimal:
    """Of the middle of one book over that of another. Raises DataStale for a side that is not there."""
    index_bid, index_ask, spot_bid, spot_ask = (
        board.best(place, side, now).price for place in (index, spot) for side in _SIDES
    )
    return premium((index_bid + index_ask) / 2, spot_bid, spot_ask)


@dataclass(frozen=True)
class HedgeTriggers:
    """open_at: open at a premium of at least this. close_at: close at one of at most this, which is lower."""

    open_at: Decimal
    close_at: Decimal

    def __post_init__(self) -> None:
        if self.close_at >= self.open_at:
            raise ValueError(f"expected close_at below open_at {self.open_at}, got {self.close_at}")


class HedgeRules:
    """Sells the index as a maker when it is dear against spot, and buys it back as one when it no longer is.

    The index is the middle of its own market. Whatever is filled there, is covered on the spot market.
    """

    def __init__(self, index: Place, spot: Place, triggers: HedgeTriggers) -> None:
        self._index, self._spot = index, spot
        self._triggers = triggers
        self._said: Decimal | str | None = None

    def news(self, board: Board, now: datetime) -> Sequence[Report]:
        try:
            found: Decimal | str = quoted_premium(board, self._index, self._spot, now)
        except DataStale as stale:
            found = str(stale)
        if found == self._said:
            return []
        self._said = found
        if isinstance(found, str):
            return [Report(now, Kind.SKIPPED, found)]
        return [Report(now, Kind.PREMIUM, f"{found:.8f}")]

    def move(self, board: Board, held: Held, now: datetime) -> Move | None:
        try:
            found = quoted_premium(board, self._index, self._spot, now)
        except DataStale:
            return None
        reason = f"premium {found:.8f}"
        if held.lead.amount == 0 and found >= self._triggers.open_at:
            return Move(Step.OPEN, "sell", board.best(self._index, "ask", now).price, reason)
        if held.lead.amount != 0 and found <= self._triggers.close_at:
            return Move(Step.CLOSE, "buy", board.best(self._index, "bid", now).price, reason)
        return None
