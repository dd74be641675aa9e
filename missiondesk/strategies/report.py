"""What a strategy has to say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from missiondesk.feeds.board import Board
from models.quote import Quote


class Kind(StrEnum):
    PRICE = "price"
    SPREAD = "spread"
    PREMIUM = "premium"
    SKIPPED = "skipped"
    TRADE = "trade"
    ORDER = "order"


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
