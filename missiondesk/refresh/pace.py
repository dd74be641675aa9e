"""An exchange whose requests keep one pace over all flows and processes of the desk."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Engine

from missiondesk.exchanges.port import MarketData
from missiondesk.market.candles import Candles
from missiondesk.store.market.pace import take_turn
from models.market import Instrument, OrderBook, Ticker, Trade

PACE: Final = timedelta(seconds=1)
"""Between two public requests: Kraken's counter falls by about one a second."""


class PacedMarket:
    """MarketData that takes its turn before each request. ccxt's own limiter knows one process only."""

    def __init__(
        self,
        market: MarketData,
        engine: Engine,
        pace: timedelta = PACE,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._market, self._engine, self._pace, self._sleep = market, engine, pace, sleep

    @property
    def name(self) -> str:
        return self._market.name

    def instruments(self) -> dict[str, Instrument]:
        return self._market.instruments()

    def timeframes(self) -> Sequence[str]:
        return self._market.timeframes()

    def candles(self, symbol: str, timeframe: str, *, since: datetime | None, limit: int) -> Candles:
        self._wait()
        return self._market.candles(symbol, timeframe, since=since, limit=limit)

    def ticker(self, symbol: str) -> Ticker:
        self._wait()
        return self._market.ticker(symbol)

    def order_book(self, symbol: str, depth: int = 50) -> OrderBook:
        self._wait()
        return self._market.order_book(symbol, depth)

    def trades(self, symbol: str, *, since: datetime, limit: int = 1000) -> Sequence[Trade]:
        self._wait()
        return self._market.trades(symbol, since=since, limit=limit)

    def _wait(self) -> None:
        waiting = take_turn(self._engine, self._market.name, self._pace)
        if waiting:
            self._sleep(waiting)
