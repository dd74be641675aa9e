"""The prices and the spread of markets as a table that is drawn again and again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from missiondesk.feeds.board import Board, Place
from missiondesk.strategies.spreads import Pair


def market_view(board: Board, places: Sequence[Place], pair: Pair | None, now: datetime) -> RenderableType:
    """What may not be priced is said in its place."""
    prices = Table(title=f"{now:%Y-%m-%d %H:%M:%S} UTC", title_justify="left")
    for name in ("market", "bid", "amount", "ask", "amount", "age"):
        prices.add_column(name, justify="left" if name == "market" else "right")
    problems: list[str] = []
    for place in places:
        quote, problem = board.quote(place), board.problem(place, now)
        if quote is None or problem is not None:
            problems.append(problem or "")
            prices.add_row(f"{place.exchange}:{place.symbol}", *["-"] * 5)
            continue
        age = max(0.0, (now - quote.received_at).total_seconds())
        prices.add_row(
            f"{place.exchange}:{place.symbol}",
            _shown(quote.bid),
            _shown(quote.bid_amount),
            _shown(quote.ask),
            _shown(quote.ask_amount),
            f"{age:.1f} s",
        )
    parts: list[RenderableType] = [prices]
    if pair is not None:
        parts.append(_spread(board, pair, now))
    return Group(*parts, *(Text(problem, style="yellow") for problem in problems))


def _spread(board: Board, pair: Pair, now: datetime) -> Table:
    spread = pair.spread(board, now)
    table = Table(title="spread, in quote units; executable after taker fees", title_justify="left")
    for name in ("ask diff", "bid diff", "sell first, buy second", "sell second, buy first"):
        table.add_column(name, justify="right")
    table.add_row(*map(_shown, (spread.ask_diff, spread.bid_diff, spread.sell_a, spread.sell_b)))
    return table


def _shown(number: Decimal | None) -> str:
    return "-" if number is None else f"{number:f}"
