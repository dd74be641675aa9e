"""Candles of one market in one timeframe as arrays, and the grid of opening times they stand on.

Times are int64 milliseconds since 1970-01-01T00:00Z, as ccxt gives them; a candle is named by its opening.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.errors import RetryLater, UnknownName

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.int64]

_MINUTE: Final = 60_000
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR

TIMEFRAMES: Final[dict[str, int]] = {
    "1m": _MINUTE,
    "3m": 3 * _MINUTE,
    "5m": 5 * _MINUTE,
    "15m": 15 * _MINUTE,
    "30m": 30 * _MINUTE,
    "1h": _HOUR,
    "2h": 2 * _HOUR,
    "4h": 4 * _HOUR,
    "6h": 6 * _HOUR,
    "8h": 8 * _HOUR,
    "12h": 12 * _HOUR,
    "1d": _DAY,
    "3d": 3 * _DAY,
    "1w": 7 * _DAY,
}

MONDAY: Final = 4 * _DAY
"""Anchor of weeks that open on Monday 00:00 UTC (Binance, most charts)."""
THURSDAY: Final = 0
"""Anchor of weeks counted from the epoch, a Thursday (Kraken's interval 10080, KuCoin, Hyperliquid)."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class InvalidCandles(RetryLater):
    """Candles that are not sorted, unique, finite and on one grid: a malformed answer, asked for again."""


def timeframe_milliseconds(timeframe: str) -> int:
    """Length of a ccxt timeframe word in milliseconds. Raises UnknownName for any other word."""
    try:
        return TIMEFRAMES[timeframe]
    except KeyError:
        raise UnknownName("timeframe", timeframe, TIMEFRAMES) from None


def to_milliseconds(instant: datetime) -> int:
    """An aware instant in milliseconds since the epoch, rounded down. Raises ValueError for a naive one."""
    if instant.tzinfo is None:
        raise ValueError(f"expected an aware datetime, got the naive {instant.isoformat()}")
    return (instant - _EPOCH) // timedelta(milliseconds=1)


def to_datetime(time: int) -> datetime:
    """The aware UTC datetime of a time in milliseconds."""
    return _EPOCH + timedelta(milliseconds=int(time))


def default_anchor(timeframe: str) -> int:
    """Where a grid starts when nothing else is known: weeks on Monday, all else at the epoch."""
    return MONDAY if timeframe == "1w" else 0


def opening_time(time: int, timeframe: str, anchor: int | None = None) -> int:
    """Opening time (ms) of the candle that contains `time` (ms).

    anchor: any opening time of the grid in question, in ms. Venues disagree on where weeks and 3-day bars
    begin, so pass one that the venue served; None means `default_anchor`.
    """
    length = timeframe_milliseconds(timeframe)
    start = default_anchor(timeframe) if anchor is None else anchor
    return (time - start) // length * length + start


def expected_last_open(now: datetime, timeframe: str, anchor: int | None = None) -> int:
    """Opening time (ms) of the newest candle that is closed at `now`; `anchor` as in `opening_time`."""
    return opening_time(to_milliseconds(now), timeframe, anchor) - timeframe_milliseconds(timeframe)


@dataclass(frozen=True, eq=False)
class Candles:
    """Candles of one market, oldest first, as equally long one-dimensional arrays.

    open_time: int64 ms UTC; open, high, low, close: float64 in quote units; volume: float64 in base units.
    symbol is only used to name the market in messages. Missing bars are simply absent.
    Raises InvalidCandles unless the arrays are equally long and finite, and the times strictly ascending on
    one grid of the timeframe.
    """

    open_time: TimeArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    timeframe: str
    symbol: str = ""

    def __post_init__(self) -> None:
        times = np.asarray(self.open_time, dtype=np.int64)
        object.__setattr__(self, "open_time", times)
        for name in ("open", "high", "low", "close", "volume"):
            values = np.ascontiguousarray(getattr(self, name), dtype=np.float64)
            object.__setattr__(self, name, values)
            if values.shape != times.shape or times.ndim != 1:
                raise self._invalid(f"{name} has shape {values.shape}, open_time {times.shape}")
            if not np.isfinite(values).all():
                place = int(np.flatnonzero(~np.isfinite(values))[0])
                raise self._invalid(
                    f"{name} at {to_datetime(times[place])} is {values[place]}, expected a number"
                )
        steps = np.diff(times)
        if (steps <= 0).any():
            place = int(np.flatnonzero(steps <= 0)[0]) + 1
            raise self._invalid(
                f"{to_datetime(times[place])} follows {to_datetime(times[place - 1])}, expected ascending"
            )
        if (steps % self.milliseconds).any():
            place = int(np.flatnonzero(steps % self.milliseconds)[0]) + 1
            raise self._invalid(
                f"{to_datetime(times[place])} is off the {self.timeframe} grid of the bars before it"
            )

    def _invalid(self, problem: str) -> InvalidCandles:
        return InvalidCandles(f"{self.described} are not valid: {problem}")

    @classmethod
    def from_rows(cls, rows: Iterable[Sequence[float]], timeframe: str, symbol: str = "") -> Candles:
        """From ccxt's rows [open time in ms, open, high, low, close, volume], oldest first."""
        rows = list(rows)
        times = np.array([int(row[0]) for row in rows], dtype=np.int64)
        columns = np.array([row[1:6] for row in rows], dtype=np.float64).reshape(len(rows), 5).T
        return cls(times, columns[0], columns[1], columns[2], columns[3], columns[4], timeframe, symbol)

    @property
    def milliseconds(self) -> int:
        """Length of one candle in milliseconds."""
        return timeframe_milliseconds(self.timeframe)

    @property
    def described(self) -> str:
        """`1h candles of BTC/USD`, for messages."""
        return f"{self.timeframe} candles" + (f" of {self.symbol}" if self.symbol else "")

    def __len__(self) -> int:
        return len(self.open_time)

    def __getitem__(self, part: slice | NDArray[np.bool_]) -> Candles:
        """A part: a slice (views of the same memory) or a mask of the same length."""
        return Candles(
            self.open_time[part],
            self.open[part],
            self.high[part],
            self.low[part],
            self.close[part],
            self.volume[part],
            self.timeframe,
            self.symbol,
        )

    def closed_at(self, now: datetime) -> Candles:
        """The candles that are closed at `now`: opening + timeframe ≤ now."""
        last_opening = to_milliseconds(now) - self.milliseconds
        return self[: int(np.searchsorted(self.open_time, last_opening, side="right"))]

    def followed_by(self, later: Candles) -> Candles:
        """These candles and then `later`, of the same market and timeframe."""
        if later.timeframe != self.timeframe:
            raise self._invalid(f"they cannot be followed by {later.described}")
        return Candles(
            np.concatenate([self.open_time, later.open_time]),
            np.concatenate([self.open, later.open]),
            np.concatenate([self.high, later.high]),
            np.concatenate([self.low, later.low]),
            np.concatenate([self.close, later.close]),
            np.concatenate([self.volume, later.volume]),
            self.timeframe,
            self.symbol,
        )

    def missing_open_times(self) -> TimeArray:
        """Opening times (ms) absent between the first and the last candle, ascending."""
        if len(self) == 0:
            return self.open_time
        grid = np.arange(self.open_time[0], self.open_time[-1], self.milliseconds, dtype=np.int64)
        return np.setdiff1d(grid, self.open_time, assume_unique=True)
