"""What a strategy has to say, and the loop that asks it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from missiondesk.feeds.board import Board
from models.quote import Quote


class Kind(StrEnum):
    PRICE = "price"
    SPREAD = "spread"
    SKIPPED = "skipped"
    TRADE = "trade"


@dataclass(frozen=True)
class Report:
    at: datetime
    kind: Kind
    text: str

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S.%f} {self.kind} {self.text}"


class Strategy(Protocol):
    def on_quote(self, board: Board, quote: Quote, now: datetime) -> Sequence[Report]:
        """Asked after every quote, which is on the board by then."""
        ...


def replayed(quotes: Iterable[Quote], strategy: Strategy) -> Iterator[Report]:
    """What the strategy says of recorded quotes, each heard at its own time; no clock is read."""
    board = Board()
    for quote in quotes:
        board.put(quote)
        yield from strategy.on_quote(board, quote, quote.received_at)
