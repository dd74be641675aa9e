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
from models.market import Instrument, Side, Trade

_TRADES: Final = 1000
# Kraken serves 720 bars and no older ones.
_BARS: Final = 700
# A venue where nothing trades for so long is quiet, or does not show all.
_GAP: Final = timedelta(minutes=2)


@dataclass(frozen=True)
class Passage:
    """Lowest and highest price and volume of a stretch of at most one bar, until an instant."""

    until: datetime
    low: Decimal
    high: Decimal
    volume: Decimal

    def goes_through(self, side: Side, price: Decimal) -> bool:
        """Whether it traded beyond the limit price of a resting order; touching is not enough."""
        return self.low < price if side == "buy" else self.high > price


def passages_since(
    market: MarketData, instrument: Instrument, since: datetime, now: datetime
) -> list[Passage]:
    """What traded after `since`, oldest first: trade by trade, in whole closed bars where trades lack.

    One answer may end too early, or begin too late where a venue shows only its newest trades. Bars are of
    one minute while the venue still serves them from there on, and longer ones after a long time.
    """
    served = market.trades(instrument.symbol, since=since, limit=_TRADES)
    trades = [trade for trade in served if trade.at > since]
    found = passages_of_trades(trades)
    if trades and trades[0].at - since > _GAP:
        found = _bars_between(market, instrument, since, trades[0].at, now) + found
    if len(served) < _TRADES:
        return found
    start = trades[-1].at if trades else since
    return found + _bars_between(market, instrument, start, now, now)


def _bars_between(
    market: MarketData, instrument: Instrument, since: datetime, until: datetime, now: datetime
) -> list[Passage]:
    for timeframe in market.timeframes():
        if now - since < _BARS * timedelta(milliseconds=timeframe_milliseconds(timeframe)):
            bars = market.candles(instrument.symbol, timeframe, since=since, limit=_BARS).closed_at(until)
            return passages_of_bars(bars[bars.open_time >= to_milliseconds(since)], instrument)
    return []


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


def passages_of_bars(candles: Candles, instrument: Instrument) -> list[Passage]:
    """One for each bar; the caller leaves out the running one."""
    columns = (candles.open_time, candles.low, candles.high, candles.close, candles.volume)
    return [
        Passage(
            until=to_datetime(int(opening) + candles.milliseconds),
            low=Decimal(str(low)),
            high=Decimal(str(high)),
            volume=_amount(instrument, Decimal(str(volume)), Decimal(str(close))),
        )
        for opening, low, high, close, volume in zip(*columns, strict=True)
    ]


def _amount(instrument: Instrument, coins: Decimal, price: Decimal) -> Decimal:
    """In what orders count: contracts, in their markets."""
    if not instrument.is_contract:
        return coins
    return (coins * price if instrument.inverse else coins) / instrument.contract_size
