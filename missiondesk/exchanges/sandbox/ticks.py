"""What happens inside a candle: its public trades, one every five seconds, so that they add up to it.

The price goes from the open to one extreme, to the other and to the close, in equal parts of the candle's
time (low first when it closes higher). A candle seen half-way is the sum of the trades so far.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from missiondesk.exchanges.sandbox.bars import MINUTE, Bars, Floats
from missiondesk.exchanges.sandbox.noise import key_of, shares, uniform

SECONDS_A_TICK = 5


@dataclass(frozen=True)
class Ticks:
    """Trades, oldest first: unix seconds, price, volume in base (0: the price moved but nothing traded)."""

    times: Floats
    prices: Floats
    volumes: Floats

    def __len__(self) -> int:
        return len(self.times)

    def between(self, after: float, until: float) -> Ticks:
        """Those with after < time <= until."""
        begin, end = np.searchsorted(self.times, (after, until), side="right")
        return Ticks(self.times[begin:end], self.prices[begin:end], self.volumes[begin:end])

    def traded(self) -> Ticks:
        """Without those in which nothing traded."""
        real = self.volumes > 0
        return Ticks(self.times[real], self.prices[real], self.volumes[real])


def ticks_of(symbol: str, bars: Bars, minutes: int, decimals: int) -> Ticks:
    """Every tick of these candles; prices rounded to `decimals`, volumes add up to the candle's."""
    count = minutes * MINUTE // SECONDS_A_TICK
    rising = bars.close >= bars.open
    first, second = np.where(rising, (bars.low, bars.high), (bars.high, bars.low))
    corners = np.stack((bars.open, first, second, bars.close), axis=-1)
    prices = np.round(corners @ _path(count), decimals)
    times = bars.opened[:, None] + SECONDS_A_TICK * np.arange(count, dtype=np.int64)
    weights = 0.2 + uniform(key_of(symbol, "trades"), times)
    return Ticks(times.ravel().astype(np.float64), prices.ravel(), shares(weights, bars.volume).ravel())


def summed(ticks: Ticks, opened: int) -> Bars:
    """The one candle these ticks make; there must be at least one."""
    prices = ticks.prices
    row = (opened, prices[0], prices.max(), prices.min(), prices[-1], ticks.volumes.sum())
    return Bars.of([row])


@lru_cache(maxsize=16)
def _path(count: int) -> Floats:
    """How much of each corner (open, extreme, extreme, close) is in each tick: shape (4, count)."""
    corners = np.array([0, count // 3, 2 * count // 3, count - 1])
    step = np.arange(count)
    return np.stack([np.interp(step, corners, unit) for unit in np.eye(4)])
