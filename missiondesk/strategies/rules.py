"""What a strategy on two markets decides; who carries it out is told in `pair_trading`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from missiondesk.feeds.board import Board
from missiondesk.orders.entry import Holding
from missiondesk.strategies.report import Report
from models.market import Side
from models.quote import Quote


class Step(StrEnum):
    OPEN = "open"
    CLOSE = "close"


@dataclass(frozen=True)
class Held:
    """What a run holds on its first market, the lead, and on the other one, which covers it."""

    lead: Holding = field(default_factory=Holding)
    cover: Holding = field(default_factory=Holding)


@dataclass(frozen=True)
class Move:
    """What to do on the lead market. price None: at market. reason: for a person."""

    step: Step
    side: Side
    price: Decimal | None
    reason: str

    def is_like(self, other: Move | None) -> bool:
        """Whether the other one asks for the same thing, be it at another price."""
        return other is not None and (self.step, self.side) == (other.step, other.side)


class Rules(Protocol):
    def news(self, board: Board, now: datetime) -> Sequence[Report]:
        """What has changed since it was last asked."""
        ...

    def move(self, board: Board, held: Held, now: datetime) -> Move | None:
        """What the prices ask for; None: nothing, or a price that counts is not there."""
        ...


class Watching:
    """A strategy that says the news of its rules and does nothing."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    def on_quote(self, board: Board, quote: Quote, now: datetime) -> Sequence[Report]:
        return self._rules.news(board, now)
