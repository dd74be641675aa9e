"""The best prices of markets, as they come."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from missiondesk.feeds.board import Board
from missiondesk.strategies.report import Kind, Report
from models.quote import Quote


class TickerStrategy:
    """Says every quote."""

    def on_quote(self, board: Board, quote: Quote, now: datetime) -> Sequence[Report]:
        bid, ask = _side(quote.bid, quote.bid_amount), _side(quote.ask, quote.ask_amount)
        return [Report(now, Kind.PRICE, f"{quote.exchange}:{quote.symbol} bid {bid} ask {ask}")]


def _side(price: Decimal | None, amount: Decimal | None) -> str:
    if price is None:
        return "empty"
    return f"{price:f}" if amount is None else f"{price:f} ({amount:f})"
