"""What the market did while an order rested: trade by trade, or in bars after a long time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Final

from missiondesk.exchanges.port import MarketData
from missiondesk.market.candles import Candles, timeframe_milliseconds, to_datetime, to_milliseconds
from models.market import Side, Trade

_TRADES: Final = 1000
# Kraken serves 720 bars and no older ones.
_BARS: Final = 700


@dataclass(frozen=True)
class Passage:
    """Lowest and highest price and volume (base units) of a stretch of at most one bar, until an instant."""

    until: datetime
    low: Decimal
    high: Decimal
    volume: Decimal

    def goes_through(self, side: Side, price: Decimal) -> bool:
        """Whether it traded beyond the limit price of a resting order; touching is not enough."""
        return self.low < price if side == "buy" else self.high > price


def passages_since(market: MarketData, symbol: str, since: datetime, now: datetime) -> list[Passage]:
    """What traded after `since`, oldest first: trades as far as one answer goes, then whole closed bars.

    Bars are of one minute while the venue still serves them from there on, and longer ones after a long time.
    """
    served = market.trades(symbol, since=since, limit=_TRADES)
    trades = [trade for trade in served if trade.at > since]
    found = passages_of_trades(trades)
    if len(served) < _TRADES:
        return found
    start = trades[-1].at if trades else since
    for timeframe in market.timeframes():
        if now - start < _BARS * timedelta(milliseconds=timeframe_milliseconds(timeframe)):
            bars = market.candles(symbol, timeframe, since=start, limit=_BARS).closed_at(now)
            return found + passages_of_bars(bars[bars.open_time >= to_milliseconds(start)])
    return found


def passages_of_trades(trades: Sequence[Trade]) -> list[Passage]:
    """One for each minute with trades; the trades are the oldest first."""
    found = []
    for _, group in groupby(trades, key=lambda trade: trade.at.replace(second=0, microsecond=0)):
        minute = list(group)
        found.append(
            Passage(
                until=minute[-1].at,
                low=min(trade.price for trade in minute),
                high=max(trade.price for trade in minute),
                volume=sum((trade.amount for trade in minute), Decimal(0)),
            )
        )
    return found


def passages_of_bars(candles: Candles) -> list[Passage]:
    """One for each bar; the caller leaves out the running one."""
    columns = (candles.open_time, candles.low, candles.high, candles.volume)
    return [
        Passage(
            until=to_datetime(int(opening) + candles.milliseconds),
            low=Decimal(str(low)),
            high=Decimal(str(high)),
            volume=Decimal(str(volume)),
        )
        for opening, low, high, volume in zip(*columns, strict=True)
    ]
