"""What the market shows at a moment: candles with the running one, price, trades, order book.

Everything follows from the source and the moment, so all answers agree with each other. Tests can set a
price, hold back candles and halt a pair.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from missiondesk.exchanges.sandbox.bars import MINUTE, Bars
from missiondesk.exchanges.sandbox.depth import DEEPEST, SPOT_LOT, Book, book_around
from missiondesk.exchanges.sandbox.pairs import STANDARD_SYMBOLS, Listing, Pair
from missiondesk.exchanges.sandbox.source import MarketSource
from missiondesk.exchanges.sandbox.ticks import SECONDS_A_TICK, Ticks, summed, ticks_of

_DAY_MINUTES = 1440
_LOOK_BACK_BARS = (1, 60, 1440, 43_200, 1_000_000)


@dataclass(frozen=True)
class Staging:
    """What a test has arranged for one pair.

    price: the price from `price_since` on, instead of the source's; it shows in ticker, trades, book, fills
    and the running candle, while closed candles stay the source's.
    candles_at: candles are served as they stood then. candles_delay: they are served so many seconds late.
    halted: new orders are refused.
    """

    price: Decimal | None = None
    price_since: float = 0.0
    candles_at: float | None = None
    candles_delay: float = 0.0
    halted: bool = False


class Market:
    """All times are unix seconds."""

    def __init__(self, source: MarketSource, pairs: Iterable[Pair] | None = None) -> None:
        """What is listed is `pairs`, or what of the source Kraken would list, with Kraken's sizes."""
        self.listing = Listing(_as_on_kraken(source) if pairs is None else pairs)
        self._source = source
        self._staging: dict[str, Staging] = {}

    def staging(self, symbol: str) -> Staging:
        return self._staging.get(symbol, Staging())

    def stage(self, symbol: str, staging: Staging) -> None:
        """A staged price is rounded to the pair's ticks."""
        if staging.price is not None:
            staging = replace(staging, price=self._decimal(symbol, float(staging.price)))
        self._staging[symbol] = staging

    def clear_staging(self) -> None:
        self._staging.clear()

    def resolution(self, symbol: str) -> int:
        """Minutes of the finest candles."""
        return self._source.resolution(symbol)

    def candles(self, symbol: str, minutes: int, now: float, count: int) -> Bars:
        """The newest candles as a client may see them: at most `count`, the last one still running."""
        staging = self.staging(symbol)
        return self.bars(symbol, minutes, (staging.candles_at or now) - staging.candles_delay, count)

    def bars(self, symbol: str, minutes: int, now: float, count: int) -> Bars:
        """The candles of the newest `count` intervals, the last one still running."""
        size = minutes * MINUTE
        opened = int(now) // size * size
        whole = self._source.bars(symbol, minutes, opened - (count - 1) * size, opened)
        return Bars.join([whole, self._running(symbol, minutes, opened, now)])

    def price(self, symbol: str, now: float) -> Decimal:
        """The newest price."""
        staged = self.staging(symbol).price
        return staged if staged is not None else self._decimal(symbol, self._newest(symbol, now))

    def ticks(self, symbol: str, after: float, until: float) -> Ticks:
        """Price movements with after < time <= until, staged ones included."""
        size = self.resolution(symbol) * MINUTE
        first, last = int(after) // size * size, int(until) // size * size + size
        bars = self._source.bars(symbol, self.resolution(symbol), first, last)
        ticks = ticks_of(symbol, bars, self.resolution(symbol), self._decimals(symbol)).between(after, until)
        return self._restaged(symbol, ticks, after, until)

    def trades_after(self, symbol: str, after: float, until: float, count: int) -> Ticks:
        """The oldest `count` trades with after < time <= until, however long nothing traded before them."""
        finest = self.resolution(symbol)
        size, trades_a_bar = finest * MINUTE, finest * MINUTE // SECONDS_A_TICK
        wanted, window = count // trades_a_bar + 2, 2 * count * SECONDS_A_TICK
        first = int(after) // size * size
        while True:
            last = int(min(until, after + window)) // size * size + size
            bars = self._source.bars(symbol, finest, first, last)
            bars = bars.select(bars.volume > 0)
            if len(bars) >= wanted or last > until:
                break
            window *= 4
        if not len(bars):
            return self.ticks(symbol, until, until)
        end = int(bars.opened[:wanted][-1]) + size
        ticks = self.ticks(symbol, max(after, bars.opened[0] - 0.5), min(until, end)).traded()
        return Ticks(ticks.times[:count], ticks.prices[:count], ticks.volumes[:count])

    def book(self, symbol: str, now: float, levels: int = DEEPEST) -> Book:
        volume = self._source.volume_per_minute(symbol)
        moment = int(now) // SECONDS_A_TICK
        lot = SPOT_LOT if self.listing[symbol].contract is None else self.listing[symbol].lot
        price, decimals = self.price(symbol, now), self._decimals(symbol)
        return book_around(symbol, price, decimals, moment, volume, levels, lot)

    def _running(self, symbol: str, minutes: int, opened: int, now: float) -> Bars:
        """The candle of the interval that `now` lies in; flat when nothing has traded in it."""
        finest = self.resolution(symbol)
        fine_opened = int(now) // (finest * MINUTE) * (finest * MINUTE)
        ticks = self.ticks(symbol, fine_opened - 0.5, now)
        parts = []
        if minutes > _DAY_MINUTES >= finest and _DAY_MINUTES % finest == 0:  # else weeks of minutes to add up
            day = fine_opened // (_DAY_MINUTES * MINUTE) * (_DAY_MINUTES * MINUTE)
            parts.append(self._source.bars(symbol, _DAY_MINUTES, opened, day))
            opened = max(opened, day)
        parts.append(self._source.bars(symbol, finest, opened, fine_opened))
        if len(ticks):
            parts.append(summed(ticks, fine_opened))
        bars = Bars.join([part for part in parts if len(part)])
        if len(bars):
            return bars.aggregate(minutes)
        last = self._newest(symbol, now)
        return Bars.of([(opened, last, last, last, last, 0.0)])

    def _newest(self, symbol: str, now: float) -> float:
        """The last price before or at now, however long ago: across gaps of a recording."""
        finest = self.resolution(symbol)
        size = finest * MINUTE
        opened = int(now) // size * size
        ticks = self.ticks(symbol, opened - 0.5, now)
        if len(ticks):
            return float(ticks.prices[-1])
        for count in _LOOK_BACK_BARS:
            bars = self._source.bars(symbol, finest, opened - count * size, opened)
            if len(bars):
                return float(bars.close[-1])
        raise LookupError(f"{symbol} has no price before {now}")

    def _restaged(self, symbol: str, ticks: Ticks, after: float, until: float) -> Ticks:
        staging = self.staging(symbol)
        if staging.price is None or staging.price_since > until:
            return ticks
        later = ticks.times >= staging.price_since
        ticks = replace(ticks, prices=np.where(later, float(staging.price), ticks.prices))
        if staging.price_since <= after:
            return ticks
        at = int(np.searchsorted(ticks.times, staging.price_since))
        return Ticks(
            np.insert(ticks.times, at, staging.price_since),
            np.insert(ticks.prices, at, float(staging.price)),
            np.insert(ticks.volumes, at, self._source.volume_per_minute(symbol)),
        )

    def _decimals(self, symbol: str) -> int:
        return self.listing[symbol].price_decimals

    def _decimal(self, symbol: str, price: float) -> Decimal:
        return Decimal(f"{price:.{self._decimals(symbol)}f}")


def _as_on_kraken(source: MarketSource) -> list[Pair]:
    symbols = dict.fromkeys((*STANDARD_SYMBOLS, *source.symbols))
    served = [symbol for symbol in symbols if symbol in source.symbols]
    return [Pair.listed(symbol, source.price_decimals(symbol)) for symbol in served]
