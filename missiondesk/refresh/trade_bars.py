"""Candles made of public trades, for times that an exchange no longer serves candles of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from typing import Final

from missiondesk.exchanges.port import MarketData
from missiondesk.market.candles import (
    Candles,
    opening_time,
    timeframe_milliseconds,
    to_datetime,
    to_milliseconds,
)
from models.market import Trade

_PAGE: Final = 1000


@dataclass(frozen=True)
class Passage:
    """Trades of a stretch, oldest first. They are all that there were until `until` (ms, exclusive)."""

    trades: tuple[Trade, ...]
    until: int


def candles_of_trades(
    trades: Iterable[Trade], timeframe: str, symbol: str = "", anchor: int | None = None
) -> Candles:
    """One candle for each stretch of the grid in which something traded; trades come oldest first."""
    rows: list[Sequence[float]] = []
    for opening, group in groupby(
        trades, lambda trade: opening_time(to_milliseconds(trade.at), timeframe, anchor)
    ):
        traded = list(group)
        prices = [float(trade.price) for trade in traded]
        volume = float(sum(trade.amount for trade in traded))
        rows.append([opening, prices[0], max(prices), min(prices), prices[-1], volume])
    return Candles.from_rows(rows, timeframe, symbol)


def trades_between(
    market: MarketData, symbol: str, timeframe: str, first: int, until: int, pages: Iterator[object]
) -> Passage | None:
    """Trades from `first` to `until` (ms), as far as answers reach; whole candles only.

    pages: one is taken for each answer that is asked for.

    Asks from one candle earlier on, where something has traded: None when nothing is served of that time, so
    that it can't be told whether nothing traded later or the exchange does not reach back.
    """
    since = to_datetime(first - timeframe_milliseconds(timeframe))
    found: list[Trade] = []
    known: set[str] = set()
    for _ in pages:
        served = market.trades(symbol, since=since, limit=_PAGE)
        fresh = [trade for trade in served if not trade.id or trade.id not in known]
        if not found and not any(to_milliseconds(trade.at) < first for trade in served):
            return None
        found += fresh
        known = {trade.id for trade in served}
        if len(served) < _PAGE or to_milliseconds(served[-1].at) >= until:
            return Passage(_within(found, first, until), until)
        # Trades of one millisecond that fill a whole answer would be asked for forever.
        since = max(served[-1].at, since + timedelta(milliseconds=1))
    reached = opening_time(to_milliseconds(found[-1].at), timeframe, first) if found else first
    return Passage(_within(found, first, reached), max(reached, first))


def _within(trades: Iterable[Trade], first: int, until: int) -> tuple[Trade, ...]:
    return tuple(trade for trade in trades if first <= to_milliseconds(trade.at) < until)
