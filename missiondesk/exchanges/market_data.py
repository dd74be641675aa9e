"""Live market data as templates see it: closed candles only, waited for when due, shared once known."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import isclose
from typing import Final, NamedTuple

from missiondesk.exchanges.port import MarketData
from missiondesk.market.candles import (
    Candles,
    expected_last_open,
    timeframe_milliseconds,
    to_datetime,
)
from models.errors import DataStale, InputRefused
from models.market import Ticker, Trade

MOST_CANDLES: Final = 1000

_REMEMBERED: Final = 128
_TRADES: Final = 1000
_TRADE_PAGES: Final = 5
_MINUTE: Final = timedelta(minutes=1)


@dataclass(frozen=True)
class Waiting:
    """How long to wait for the newest closed candle.

    longest: from the first look on; pause: between two looks; settling: from its close, until when a venue
    may still be publishing the last trades of a candle.
    """

    longest: timedelta = timedelta(seconds=10)
    pause: timedelta = timedelta(milliseconds=500)
    settling: timedelta = timedelta(seconds=2)


class _Place(NamedTuple):
    exchange: str
    symbol: str
    timeframe: str


class _Known(NamedTuple):
    """Closed candles: at least `asked` of them, or all that the venue has."""

    candles: Candles
    asked: int


class LiveMarkets:
    """The Markets port of templates, over the venues that `open_market` opens, each once.

    Closed candles do not change: they are kept by exchange, symbol, timeframe and newest closed candle, a
    bounded number of them, and shared by all Missions in this process. Prices are fetched each time.
    Not for several threads at once.
    """

    def __init__(
        self,
        open_market: Callable[[str], MarketData],
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
        waiting: Waiting | None = None,
    ) -> None:
        self._open_market = open_market
        self._clock = clock
        self._sleep = sleep
        self._waiting = waiting or Waiting()
        self._markets: dict[str, MarketData] = {}
        # An opening time of each grid: venues disagree on where weeks begin.
        self._anchors: dict[_Place, int] = {}
        self._known: OrderedDict[tuple[_Place, int], _Known] = OrderedDict()

    def closed_candles(
        self, exchange: str, symbol: str, timeframe: str, count: int, now: datetime
    ) -> Candles:
        """See the port; `_is_final` says when a candle counts as closed, or as one that will never be."""
        if not 1 <= count <= MOST_CANDLES:
            raise InputRefused(f"expected 1 to {MOST_CANDLES} candles, got {count}")
        served = self._market(exchange).timeframes()
        if timeframe not in served:
            raise InputRefused(
                f"expected a granularity that {exchange} serves ({', '.join(served)}), got {timeframe!r}"
            )
        place = _Place(exchange, symbol, timeframe)
        known = self._known.get((place, self._expected(place, now)))
        if known is None or known.asked < count:
            known = _Known(self._wait_for_closed(place, count, now), count)
            self._remember(place, now, known)
        return known.candles[-count:]

    def latest_price(self, exchange: str, symbol: str, now: datetime) -> tuple[Decimal, str]:
        """See the port. Raises DataStale where neither trades nor candles are served."""
        market = self._market(exchange)
        trade = _newest_trade(market, symbol, now)
        if trade is not None and trade.at >= now.replace(second=0, microsecond=0):
            return trade.price, "last trade"
        count = 2 + max(0, (self._clock() - now) // _MINUTE)
        minutes = market.candles(symbol, "1m", since=None, limit=count).closed_at(now)
        if len(minutes) and (trade is None or trade.at < to_datetime(minutes.open_time[-1]) + _MINUTE):
            return Decimal(str(minutes.close[-1])), "1m close"
        if trade is None:
            raise DataStale(f"{exchange} serves neither a recent trade nor a 1-minute candle of {symbol}")
        return trade.price, "last trade"

    def ticker(self, exchange: str, symbol: str) -> Ticker:
        return self._market(exchange).ticker(symbol)

    def _market(self, exchange: str) -> MarketData:
        if exchange not in self._markets:
            self._markets[exchange] = self._open_market(exchange)
        return self._markets[exchange]

    def _expected(self, place: _Place, now: datetime) -> int:
        return expected_last_open(now, place.timeframe, self._anchors.get(place))

    def _remember(self, place: _Place, now: datetime, known: _Known) -> None:
        self._known[place, self._expected(place, now)] = known
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    def _wait_for_closed(self, place: _Place, count: int, now: datetime) -> Candles:
        market = self._market(place.exchange)
        give_up_at = self._clock() + self._waiting.longest
        while True:
            looked_at = self._clock()
            # One that runs, and those that closed since `now`.
            limit = count + 1 + max(0, (looked_at - now) // _length(place.timeframe) + 1)
            served = market.candles(place.symbol, place.timeframe, since=None, limit=limit)
            if len(served):
                self._anchors[place] = int(served.open_time[-1])
            expected = self._expected(place, now)
            if self._is_final(market, served, place, expected, looked_at):
                return served.closed_at(now)
            if self._clock() >= give_up_at:
                waited = self._waiting.longest.total_seconds()
                raise DataStale(
                    f"{place.exchange} does not serve the {place.timeframe} candle of {place.symbol} that "
                    f"opened {to_datetime(expected):%Y-%m-%d %H:%M} UTC {waited:g} s after it was asked for; "
                    f"{_newest_of(served)}"
                )
            self._sleep(self._waiting.pause.total_seconds())

    def _is_final(
        self, market: MarketData, served: Candles, place: _Place, expected: int, looked_at: datetime
    ) -> bool:
        """Whether the candle that opened at `expected` will not change, or will never be.

        It is once a later one is served: the venue's own clock has left it. Where there is none, trades tell,
        after `settling`: the newest candle served is made of all that traded from its opening until now.
        """
        if len(served) and served.open_time[-1] > expected:
            return True
        close_at = to_datetime(expected) + _length(place.timeframe)
        if looked_at < close_at + self._waiting.settling:
            return False
        since = to_datetime(int(served.open_time[-1]) if len(served) else 0)
        trades = market.trades(place.symbol, since=since, limit=_TRADES)
        if not len(served):
            return not trades
        newest_close_at = since + _length(place.timeframe)
        if len(trades) >= _TRADES or any(trade.at >= newest_close_at for trade in trades):
            return False
        counts_alike = not market.instruments()[place.symbol].is_contract
        return _agrees(served, trades, counts_alike)


def _agrees(served: Candles, trades: Sequence[Trade], counts_alike: bool) -> bool:
    """Whether the newest candle is made of these trades: all of their volume, and the last price.

    counts_alike: trades in contracts and candles in coins can't be compared by their volume.
    """
    volume = float(sum((trade.amount for trade in trades), Decimal(0)))
    if counts_alike and not isclose(served.volume[-1], volume, rel_tol=1e-6):
        return False
    return not trades or isclose(served.close[-1], float(trades[-1].price), rel_tol=1e-9)


def _length(timeframe: str) -> timedelta:
    return timedelta(milliseconds=timeframe_milliseconds(timeframe))


def _newest_of(served: Candles) -> str:
    if not len(served):
        return "it serves none at all"
    return f"the newest one opened {to_datetime(served.open_time[-1]):%Y-%m-%d %H:%M} UTC"


def _newest_trade(market: MarketData, symbol: str, now: datetime) -> Trade | None:
    """The newest trade of the last minute until `now`, as far as a few answers reach."""
    since, newest = now - _MINUTE, None
    for _ in range(_TRADE_PAGES):
        served = market.trades(symbol, since=since, limit=_TRADES)
        newest = next((trade for trade in reversed(served) if trade.at <= now), newest)
        if len(served) < _TRADES or served[-1].at > now:
            break
        since = served[-1].at
    return newest
