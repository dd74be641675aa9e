"""The prices and the spread of markets as a table that is drawn again and again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from missiondesk.feeds.board import Board, Place
from missiondesk.strategies.hedge import quoted_premium
from missiondesk.strategies.spreads import Pair
from models.errors import DataStale

_COLUMNS = ("market", "bid", "amount", "ask", "amount", "age")


def market_view(board: Board, places: Sequence[Place], pair: Pair | None, now: datetime) -> RenderableType:
    """What may not be priced is said in its place."""
    rows: list[Sequence[str]] = []
    problems: list[str] = []
    for place in places:
        quote, problem = board.quote(place), board.problem(place, now)
        name = f"{place.exchange}:{place.symbol}"
        if quote is None or problem is not None:
            problems.append(problem or "")
            rows.append([name, *["-"] * 5])
            continue
        sides = (quote.bid, quote.bid_amount, quote.ask, quote.ask_amount)
        age = max(0.0, (now - quote.received_at).total_seconds())
        rows.append([name, *map(_shown, sides), f"{age:.1f} s"])
    parts: list[RenderableType] = [_Prices(f"{now:%Y-%m-%d %H:%M:%S} UTC", rows)]
    if pair is not None:
        parts.append(_spread(board, pair, now))
    return Group(*parts, *(Text(problem, style="yellow") for problem in problems))


@dataclass(frozen=True)
class _Prices:
    """One line a market, or one a column where the terminal is too narrow for that: never half a price."""

    title: str
    rows: Sequence[Sequence[str]]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        wide = Table(title=self.title, title_justify="left")
        for name in _COLUMNS:
            wide.add_column(name, justify="left" if name == "market" else "right", no_wrap=True)
        for row in self.rows:
            wide.add_row(*map(Text, row))
        unbounded = options.update(max_width=10_000)
        if Measurement.get(console, unbounded, wide).maximum <= options.max_width:
            yield wide
            return
        yield Text(self.title, style="italic")
        for name, *cells in self.rows:
            yield Text(name, style="bold")
            for column, cell in zip(_COLUMNS[1:], cells, strict=True):
                yield Text(f"{column:>8} {cell}")


def _spread(board: Board, pair: Pair, now: datetime) -> Table:
    spread = pair.spread(board, now)
    table = Table.grid(padding=(0, 1))
    table.add_column()
    table.add_column(justify="right", no_wrap=True)
    table.add_row("ask diff", _shown(spread.ask_diff))
    table.add_row("bid diff", _shown(spread.bid_diff))
    table.add_row("sell first, buy second, after fees", _shown(spread.sell_a))
    table.add_row("sell second, buy first, after fees", _shown(spread.sell_b))
    table.add_row("premium of the first", _premium(board, pair, now))
    return table


def _premium(board: Board, pair: Pair, now: datetime) -> str:
    try:
        return f"{quoted_premium(board, pair.a, pair.b, now):.4%}"
    except DataStale:
        return "-"


def _shown(number: Decimal | None) -> str:
    return "-" if number is None else f"{number:f}"
