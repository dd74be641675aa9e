"""Prices that never happened: a seeded walk with infinite memory.

A day is drawn first (open, high, low, close from a mean-reverting walk over days), then its minutes are drawn
inside it: a path through the day's extremes with Brownian bridges between them. So a candle is a function of
(seed, symbol, time) alone, years of daily candles cost nothing, and coarse candles are exactly made of fine
ones. Waves are laid over the walk so that oversold and overbought moments come round on every timeframe.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np

from missiondesk.exchanges.sandbox.bars import MINUTE, Bars, Floats
from missiondesk.exchanges.sandbox.noise import bell, key_of, shares, uniform
from missiondesk.exchanges.sandbox.pairs import Pair

_DAY = 1440
_HORIZON = 40_000  # days from 1970: into 2079
_DAILY_VOLATILITY = 0.03
_MINUTE_VOLATILITY = _DAILY_VOLATILITY / _DAY**0.5
_REVERSION = 0.015
_DAY_WAVES = (8, 48)  # days: four-hourly and daily candles
_MINUTE_WAVES = (48, 240, 720)  # minutes: one-, five- and fifteen-minute candles
_DOLLARS_A_DAY = 50_000_000.0
_DOLLARS = {"USD", "USDT", "USDC"}
_PRICES = {
    "BTC": 60_000.0, "ETH": 2_500.0, "SOL": 150.0, "DOGE": 0.15, "BCH": 400.0, "LTC": 80.0, "XRP": 0.6,
    "LINK": 15.0, "DOT": 6.0, "ADA": 0.5, "AVAX": 30.0, "BNB": 600.0,
}  # fmt: skip
_USUAL_PRICE = 10.0


class Generator:
    """A market source for the given pairs, from the unix epoch on."""

    def __init__(self, pairs: Iterable[Pair], seed: int = 1) -> None:
        self._walks = {pair.symbol: _Walk(pair, seed) for pair in pairs}
        self._minutes = lru_cache(maxsize=64)(self._make_minutes)
        self._coarser = lru_cache(maxsize=8192)(self._make_coarser)

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(self._walks)

    def resolution(self, symbol: str) -> int:
        return 1

    def price_decimals(self, symbol: str) -> None:
        return None

    def volume_per_minute(self, symbol: str) -> float:
        return self._walks[symbol].volume_a_day / _DAY

    def bars(self, symbol: str, minutes: int, first: int, last: int) -> Bars:
        first_day, last_day = first // (_DAY * MINUTE), -(-last // (_DAY * MINUTE))
        if minutes >= _DAY:
            days = self._walks[symbol].days(first_day, last_day)
            return days if minutes == _DAY else days.aggregate(minutes)
        parts = [self._coarser(symbol, minutes, day) for day in range(max(0, first_day), last_day)]
        return Bars.join(parts).between(first, last)

    def _make_minutes(self, symbol: str, day: int) -> Bars:
        return self._walks[symbol].minutes(day)

    def _make_coarser(self, symbol: str, minutes: int, day: int) -> Bars:
        bars = self._minutes(symbol, day)
        return bars if minutes == 1 else bars.aggregate(minutes)


class _Walk:
    """One symbol's path. Levels are natural logarithms of price over the usual price."""

    def __init__(self, pair: Pair, seed: int) -> None:
        in_dollars = pair.quote in _DOLLARS
        self._name = (seed, pair.base if in_dollars else pair.symbol)
        self._decimals = pair.price_decimals
        dollars = _PRICES.get(pair.base, _USUAL_PRICE)
        self._price = dollars / (1.0 if in_dollars else _PRICES.get(pair.quote, 1.0))
        self.volume_a_day = _DOLLARS_A_DAY / dollars
        self._levels: Floats | None = None

    def days(self, first: int, last: int) -> Bars:
        """Daily candles of the days first <= day < last since 1970."""
        number = np.arange(max(0, first), last, dtype=np.int64)
        opening, closing, high, low = self._day_levels(number)
        volume = np.rint(self.volume_a_day * (0.6 + 0.8 * uniform(self._key("volume"), number)) * 1e8) / 1e8
        return Bars(
            number * (_DAY * MINUTE),
            self._to_price(opening),
            self._to_price(high),
            self._to_price(low),
            self._to_price(closing),
            volume,
        )

    def minutes(self, day: int) -> Bars:
        """The 1440 candles of a day: together exactly its daily candle."""
        whole = self.days(day, day + 1)
        price = self._to_price(self._minute_levels(day))
        minute = np.arange(day * _DAY, (day + 1) * _DAY, dtype=np.int64)
        opening, closing = price[:-1], price[1:]
        reach = 0.5 * _MINUTE_VOLATILITY * opening
        above = np.maximum(opening, closing) + reach * uniform(self._key("above"), minute)
        below = np.minimum(opening, closing) - reach * uniform(self._key("below"), minute)
        busy = 0.3 + uniform(self._key("busy"), minute) ** 2
        return Bars(
            minute * MINUTE,
            opening,
            np.minimum(np.round(above, self._decimals), whole.high[0]),
            np.maximum(np.round(below, self._decimals), whole.low[0]),
            closing,
            shares(busy, whole.volume[0]),
        )

    def _key(self, stream: str) -> int:
        return key_of(*self._name, stream)

    def _to_price(self, level: Floats) -> Floats:
        return np.asarray(np.round(self._price * np.exp(level), self._decimals))

    def _day_levels(self, day: np.typing.NDArray[np.int64]) -> tuple[Floats, Floats, Floats, Floats]:
        if self._levels is None:
            self._levels = self._walk_days()
        opening, closing = self._levels[day], self._levels[day + 1]
        above, below = (np.abs(bell(self._key(side), day)) for side in ("high", "low"))
        reach = 0.4 * _DAILY_VOLATILITY
        high = np.maximum(opening, closing) + reach * above
        return opening, closing, high, np.minimum(opening, closing) - reach * below

    def _walk_days(self) -> Floats:
        day = np.arange(_HORIZON + 1, dtype=np.int64)
        level, levels = 0.0, []
        for step in (bell(self._key("day"), day) * _DAILY_VOLATILITY).tolist():
            level += step - _REVERSION * level
            levels.append(level)
        return np.array(levels) + self._waves(day.astype(np.float64), _DAY_WAVES, _DAILY_VOLATILITY)

    def _minute_levels(self, day: int) -> Floats:
        """1441 levels: the openings of a day's minutes and its close."""
        opening, closing, high, low = (level[0] for level in self._day_levels(np.array([day])))
        early, late, order = uniform(self._key("turns"), np.arange(3 * day, 3 * day + 3))
        turns = np.array([0, 180 + int(480 * early), 780 + int(480 * late), _DAY])
        extremes = (low, high) if order < 0.5 else (high, low)
        step = np.arange(_DAY + 1)
        at = day * _DAY + step
        free = np.cumsum(bell(self._key("minute"), at)) * _MINUTE_VOLATILITY
        free += self._waves(at.astype(np.float64), _MINUTE_WAVES, _MINUTE_VOLATILITY)
        bridge = free - np.interp(step, turns, free[turns])
        level = np.interp(step, turns, (opening, *extremes, closing)) + bridge
        level = np.where(level > high, 2 * high - level, level)
        level = np.where(level < low, 2 * low - level, level)
        return np.asarray(np.clip(level, low, high))

    def _waves(self, at: Floats, periods: tuple[int, ...], volatility: float) -> Floats:
        """Each wave moves its timeframe (a 48th of the period) about as much as chance does."""
        total = np.zeros(len(at))
        for period in periods:
            amplitude = 4.0 * volatility * (period / 48) ** 0.5
            phase = uniform(self._key("phase"), np.array([period]))[0]
            total += amplitude * np.sin(2 * np.pi * (at / period + phase))
        return total
