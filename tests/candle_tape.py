"""An exchange that plays recorded hourly candles to a clock of one's own, the way Kraken serves them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np

from missiondesk.market.aggregate import aggregate
from missiondesk.market.candles import Candles, to_milliseconds
from models.errors import ExchangeUnreachable, UnknownName
from models.market import Instrument, OrderBook, Ticker, Trade

WINDOW = 720
THURSDAY = 0


def recorded(path: Path, symbol: str, timeframe: str = "1h") -> Candles:
    """A candle file of the test data."""
    columns = np.loadtxt(path, delimiter=",", skiprows=1).T
    return Candles(columns[0].astype(np.int64), *columns[1:6], timeframe, symbol)


class CandleTape:
    """MarketData over hourly candles: the newest 720 of each interval, the running one included.

    now: its clock, set by the test. unreachable: every request fails. wrong: (symbol, interval, open time) →
    until when (ms) that candle is served with a close that is too high by 1 %.
    """

    name = "tape"

    def __init__(
        self, hourly: Mapping[str, Candles], intervals: Sequence[str] = ("1h", "4h", "1d", "1w")
    ) -> None:
        self._intervals = tuple(intervals)
        self._candles = {
            (symbol, interval): candles
            if interval == "1h"
            else aggregate(candles, interval, THURSDAY if interval == "1w" else None).candles
            for symbol, candles in hourly.items()
            for interval in intervals
        }
        self.trades_of: dict[str, Sequence[Trade]] = {}
        self.now = 0
        self.unreachable = False
        self.wrong: dict[tuple[str, str, int], int] = {}
        self.requests: list[tuple[str, str]] = []

    def whole(self, symbol: str, interval: str) -> Candles:
        """Everything it has of one market, the future included."""
        return self._candles[symbol, interval]

    def instruments(self) -> dict[str, Instrument]:
        return {}

    def timeframes(self) -> Sequence[str]:
        return self._intervals

    def candles(self, symbol: str, timeframe: str, *, since: datetime | None, limit: int) -> Candles:
        self._answer(symbol, timeframe)
        whole = self._candles[symbol, timeframe]
        begun = whole[: int(np.searchsorted(whole.open_time, self.now, side="right"))][-WINDOW:]
        if since is not None:
            begun = begun[begun.open_time >= to_milliseconds(since)]
        return self._as_served(symbol, begun[-limit:])

    def trades(self, symbol: str, *, since: datetime, limit: int = 1000) -> Sequence[Trade]:
        self._answer(symbol, "trades")
        known = [trade for trade in self.trades_of.get(symbol, ()) if since <= trade.at]
        return [trade for trade in known if to_milliseconds(trade.at) <= self.now][:limit]

    def ticker(self, symbol: str) -> Ticker:
        raise NotImplementedError("a tape of candles quotes nothing")

    def order_book(self, symbol: str, depth: int = 50) -> OrderBook:
        raise NotImplementedError("a tape of candles quotes nothing")

    def _answer(self, symbol: str, what: str) -> None:
        self.requests.append((symbol, what))
        if self.unreachable:
            raise ExchangeUnreachable("the tape does not answer")
        symbols = {symbol for symbol, _ in self._candles}
        if symbol not in symbols:
            raise UnknownName("symbol of the tape", symbol, symbols)

    def _as_served(self, symbol: str, candles: Candles) -> Candles:
        wrong = [
            time
            for (market, interval, time), until in self.wrong.items()
            if (market, interval) == (symbol, candles.timeframe) and self.now < until
        ]
        close = np.where(np.isin(candles.open_time, wrong), candles.close * 1.01, candles.close)
        high = np.maximum(candles.high, close)
        return Candles(
            candles.open_time,
            candles.open,
            high,
            candles.low,
            close,
            candles.volume,
            candles.timeframe,
            candles.symbol,
        )
