"""Two markets against each other: their spread, and when to trade on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from missiondesk.feeds.board import Board
from missiondesk.strategies.report import Kind, Report
from missiondesk.strategies.rules import Held, Move, Step
from missiondesk.strategies.spreads import Pair, Spread


@dataclass(frozen=True)
class Triggers:
    """open_above: open when an executable spread, after fees, is above it, in quote units. close_above: close
    when opening and closing together leave more than this for one unit of base.
    """

    open_above: Decimal = Decimal(0)
    close_above: Decimal = Decimal(0)


class DiffRules:
    """Sell where it is dear, buy where it is cheap, and back when the distance is gone."""

    def __init__(self, pair: Pair, triggers: Triggers) -> None:
        self._pair = pair
        self._triggers = triggers
        self._said: Spread | None = None

    def news(self, board: Board, now: datetime) -> Sequence[Report]:
        spread, before = self._pair.spread(board, now), self._said
        if spread == before:
            return []
        self._said = spread
        known = () if before is None else before.skipped
        news = [Report(now, Kind.SKIPPED, reason) for reason in spread.skipped if reason not in known]
        figures = {
            "ask_diff": spread.ask_diff,
            "bid_diff": spread.bid_diff,
            "sell_a": spread.sell_a,
            "sell_b": spread.sell_b,
        }
        shown = " ".join(f"{name} {value:f}" for name, value in figures.items() if value is not None)
        return [*news, Report(now, Kind.SPREAD, shown)] if shown else news

    def move(self, board: Board, held: Held, now: datetime) -> Move | None:
        spread = self._pair.spread(board, now)
        if held.lead.amount == 0:
            return self._open(spread)
        sold_lead = held.lead.amount < 0
        back = spread.sell_b if sold_lead else spread.sell_a
        if back is None:
            return None
        left = self._opened_at(held) + back
        if left <= self._triggers.close_above:
            return None
        return Move(Step.CLOSE, "buy" if sold_lead else "sell", None, f"spread {back:f}, left {left:f}")

    def _open(self, spread: Spread) -> Move | None:
        if spread.sell_a is not None and spread.sell_a > self._triggers.open_above:
            return Move(Step.OPEN, "sell", None, f"spread {spread.sell_a:f}")
        if spread.sell_b is not None and spread.sell_b > self._triggers.open_above:
            return Move(Step.OPEN, "buy", None, f"spread {spread.sell_b:f}")
        return None

    def _opened_at(self, held: Held) -> Decimal:
        """The spread that was had, for one unit of base, after the taker fees of both."""
        lead, cover, pair = held.lead.entry_price, held.cover.entry_price, self._pair
        if held.lead.amount < 0:
            return lead * (1 - pair.fee_a) - cover * (1 + pair.fee_b)
        return cover * (1 - pair.fee_b) - lead * (1 + pair.fee_a)
