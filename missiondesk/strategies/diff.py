"""Two markets against each other: their spread, and trades on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from missiondesk.feeds.board import Board
from missiondesk.strategies.report import Kind, Report
from missiondesk.strategies.spreads import Pair, Spread
from models.quote import Quote


@dataclass(frozen=True)
class Triggers:
    """open_above: open when an executable spread, after fees, is above it, in quote units. close_above: close
    when opening and closing together leave more than this for one unit. amount: of base, each time.
    """

    open_above: Decimal
    close_above: Decimal = Decimal(0)
    amount: Decimal = Decimal(1)


@dataclass(frozen=True)
class _Position:
    sold: Literal["a", "b"]
    opened_at_spread: Decimal


class DiffStrategy:
    """Says every change of the spread, and with triggers trades on it on paper, at the best prices."""

    def __init__(self, pair: Pair, triggers: Triggers | None = None) -> None:
        self.pair = pair
        self._triggers = triggers
        self._said: Spread | None = None
        self._position: _Position | None = None
        self.earned = Decimal(0)
        """In quote units, after fees, of what was opened and closed."""

    def on_quote(self, board: Board, quote: Quote, now: datetime) -> Sequence[Report]:
        spread = self.pair.spread(board, now)
        if spread == self._said:
            return []
        news = _news(spread, self._said, now)
        self._said = spread
        if self._triggers is None:
            return news
        return [*news, *self._trade(spread, self._triggers, now)]

    def _trade(self, spread: Spread, triggers: Triggers, now: datetime) -> Sequence[Report]:
        position = self._position
        if position is None:
            return self._open(spread, triggers, now)
        back = spread.sell_b if position.sold == "a" else spread.sell_a
        if back is None or position.opened_at_spread + back <= triggers.close_above:
            return []
        left = (position.opened_at_spread + back) * triggers.amount
        self._position = None
        self.earned += left
        said = f"close {self._words(position.sold)}: spread {back:f}, left {left:f}, earned {self.earned:f}"
        return [Report(now, Kind.TRADE, said)]

    def _open(self, spread: Spread, triggers: Triggers, now: datetime) -> Sequence[Report]:
        if spread.sell_a is not None and spread.sell_a > triggers.open_above:
            self._position = _Position("a", spread.sell_a)
        elif spread.sell_b is not None and spread.sell_b > triggers.open_above:
            self._position = _Position("b", spread.sell_b)
        else:
            return []
        position = self._position
        words = self._words(position.sold)
        said = f"open {words}: amount {triggers.amount:f}, spread {position.opened_at_spread:f}"
        return [Report(now, Kind.TRADE, said)]

    def _words(self, sold: Literal["a", "b"]) -> str:
        pair = self.pair
        sell, buy = (pair.a, pair.b) if sold == "a" else (pair.b, pair.a)
        return f"sell {sell.exchange}:{sell.symbol} buy {buy.exchange}:{buy.symbol}"


def _news(spread: Spread, before: Spread | None, now: datetime) -> list[Report]:
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
