"""The public side of a venue whose whole market is a list of trades; it can be late, frozen or quiet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from missiondesk.market.candles import (
    Candles,
    opening_time,
    timeframe_milliseconds,
    to_datetime,
    to_milliseconds,
)
from models.errors import UnknownName
from models.market import Instrument, Level, OrderBook, Ticker, Trade

SYMBOL = "BTC/USD"
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)

BITCOIN = Instrument(
    exchange="tape",
    symbol=SYMBOL,
    base="BTC",
    quote="USD",
    lot=Decimal("0.0001"),
    tick=Decimal("0.1"),
    min_amount=Decimal("0.001"),
    min_cost=Decimal("5"),
    maker=Decimal("0.0025"),
    taker=Decimal("0.004"),
)


def a_trade(at: datetime, price: str = "100", amount: str = "1") -> Trade:
    return Trade(symbol=SYMBOL, side="buy", price=Decimal(price), amount=Decimal(amount), at=at)


@dataclass
class Hand:
    """A clock that only moves when told, or when someone sleeps."""

    now: datetime = NOON
    slept: float = 0.0

    def __call__(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class TapeVenue:
    """Candles are made of the trades, none where nothing traded.

    always_running: the newest candle served is the running one, also before anything traded in it (Kraken).
    candle_lag, trade_lag: how far behind the clock the two answers are. frozen_at: where candles stopped.
    """

    tape: Sequence[Trade]
    clock: Callable[[], datetime]
    always_running: bool = False
    candle_lag: timedelta = timedelta(0)
    trade_lag: timedelta = timedelta(0)
    frozen_at: datetime | None = None
    book: tuple[tuple[Level, ...], tuple[Level, ...]] = ((), ())
    anchors: dict[str, int] = field(default_factory=dict)
    instrument_list: Sequence[Instrument] = (BITCOIN,)
    calls: Counter[str] = field(default_factory=Counter)

    @property
    def name(self) -> str:
        return "tape"

    def instruments(self) -> dict[str, Instrument]:
        return {instrument.symbol: instrument for instrument in self.instrument_list}

    def timeframes(self) -> Sequence[str]:
        return ["1m", "5m", "1h", "1d", "1w"]

    def candles(self, symbol: str, timeframe: str, *, since: datetime | None, limit: int) -> Candles:
        self._asked("candles", symbol)
        until = self.clock() - self.candle_lag
        if self.frozen_at is not None:
            until = min(until, self.frozen_at)
        candles = self.made_of_trades(timeframe, until)
        if since is not None:
            candles = candles[candles.open_time >= to_milliseconds(since)]
        return candles[-limit:]

    def made_of_trades(self, timeframe: str, until: datetime) -> Candles:
        """The candles of all trades up to and including `until`."""
        rows: dict[int, list[float]] = {}
        for trade in self.tape:
            if trade.at > until:
                break
            price, amount = float(trade.price), float(trade.amount)
            row = rows.setdefault(self._opening(trade.at, timeframe), [price, price, price, price, 0.0])
            row[1:] = [max(row[1], price), min(row[2], price), price, row[4] + amount]
        if self.always_running and rows:
            last = rows[max(rows)][3]
            rows.setdefault(self._opening(until, timeframe), [last, last, last, last, 0.0])
        return Candles.from_rows([[time, *rows[time]] for time in sorted(rows)], timeframe, SYMBOL)

    def ticker(self, symbol: str) -> Ticker:
        self._asked("ticker", symbol)
        last = self.tape[-1].price
        return Ticker("tape", symbol, last - 1, last + 1, last, self.clock())

    def order_book(self, symbol: str, depth: int = 50) -> OrderBook:
        self._asked("order_book", symbol)
        bids, asks = self.book
        return OrderBook("tape", symbol, bids[:depth], asks[:depth], self.clock())

    def trades(self, symbol: str, *, since: datetime, limit: int = 1000) -> Sequence[Trade]:
        self._asked("trades", symbol)
        until = self.clock() - self.trade_lag
        return [trade for trade in self.tape if since <= trade.at <= until][:limit]

    def _opening(self, at: datetime, timeframe: str) -> int:
        return opening_time(to_milliseconds(at), timeframe, self.anchors.get(timeframe))

    def _asked(self, call: str, symbol: str) -> None:
        self.calls[call] += 1
        if symbol not in self.instruments():
            raise UnknownName("symbol of tape", symbol, self.instruments())


def closes_at(candles: Candles, place: int = -1) -> datetime:
    return to_datetime(int(candles.open_time[place]) + timeframe_milliseconds(candles.timeframe))
