"""Candle files played back as if they were happening now.

A recording is moved by a whole number of weeks (days, or hours, when it is short), so that its candles keep
their place in the hour, the day and the week, and so that its end lies a day (at most a quarter of its
length) or a little more after the origin: the moment playback began. Before the origin everything recorded is
history. When the end is reached, its newest whole weeks (days, hours) begin again: the price jumps there,
the clock does not.
"""

from __future__ import annotations

import gzip
import io
import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from missiondesk.exchanges.sandbox.bars import MINUTE, Bars
from models.errors import InputRefused, UnknownName

_log = logging.getLogger(__name__)

_NAME = re.compile(r"^(?P<base>[A-Z0-9]+)-(?P<quote>[A-Z0-9]+)_(?P<count>\d+)(?P<unit>[mhdw])")
_UNIT_MINUTES = {"m": 1, "h": 60, "d": 1440, "w": 10080}
_COLUMNS = "timestamp,open,high,low,close,volume"
_RENAMED = {"XBT": "BTC", "XDG": "DOGE"}
_HOUR, _DAY, _WEEK = 3600, 86_400, 604_800
_MOST_DECIMALS = 12


@dataclass(frozen=True)
class CandleFile:
    """One recorded pair as it stands in its file."""

    path: Path
    symbol: str
    minutes: int
    bars: Bars
    price_decimals: int

    @classmethod
    def read(cls, path: Path) -> CandleFile:
        """Read `BASE-QUOTE_1m*.csv[.gz]`: timestamp (ms), open, high, low, close, volume, one header line.

        Raises InputRefused saying what is wrong with the file.
        """
        name = _NAME.match(path.name)
        if name is None:
            raise InputRefused(f"{path}: expected a file name like BTC-USDT_1m.csv.gz")
        minutes = int(name["count"]) * _UNIT_MINUTES[name["unit"]]
        base, quote = (_RENAMED.get(asset, asset) for asset in (name["base"], name["quote"]))
        bars = _read_columns(path)
        _require_a_grid(path, bars, minutes)
        decimals = _decimals_of(bars)
        return cls(path, f"{base}/{quote}", minutes, _rounded(bars, decimals), decimals)

    @property
    def end(self) -> int:
        """When its last candle closes, unix seconds."""
        return int(self.bars.opened[-1]) + self.minutes * MINUTE

    @property
    def span(self) -> int:
        """Seconds from its first candle's opening to its last one's close."""
        return self.end - int(self.bars.opened[0])


@dataclass(frozen=True)
class Playback:
    """How one recording is laid on the clock: all in seconds."""

    shift: int
    period: int
    end: int

    @classmethod
    def plan(cls, file: CandleFile, origin: datetime) -> Playback:
        """The rule at the top of this module."""
        step = file.minutes * MINUTE
        units = [unit for unit in (_WEEK, _DAY, _HOUR) if unit % step == 0 and file.span >= 3 * unit]
        unit = units[0] if units else step
        runway = min(_DAY, file.span // 4)
        missing = int(origin.timestamp()) + runway - file.end
        shift = -(-missing // unit) * unit
        return cls(shift, file.span // unit * unit, file.end + shift)

    def passed(self, second: int) -> int:
        """How often the recording had ended by then: 0 in the first playing."""
        return max(0, (second - self.end) // self.period + 1)


class Recordings:
    """Candle files as a market source."""

    def __init__(self, files: Iterable[CandleFile], origin: datetime) -> None:
        self._files: dict[str, CandleFile] = {}
        for file in sorted(files, key=lambda file: (file.minutes, file.path)):
            if file.symbol in self._files:
                _log.info("%s is not played: %s is finer", file.path, self._files[file.symbol].path)
            self._files.setdefault(file.symbol, file)
        self._playbacks = {symbol: Playback.plan(file, origin) for symbol, file in self._files.items()}
        self._volumes = {
            symbol: float(np.median(file.bars.volume)) / file.minutes for symbol, file in self._files.items()
        }

    @classmethod
    def load(cls, path: Path, origin: datetime) -> Recordings:
        """A candle file, or every candle file of a folder (for each pair the finest one)."""
        if not path.exists():
            raise InputRefused(f"candles {path}: there is no such file or folder")
        found = [path]
        if path.is_dir():
            found = [each for each in sorted(path.glob("*.csv*")) if _NAME.match(each.name)]
        if not found:
            raise InputRefused(f"candles {path}: expected files named like BTC-USDT_1m.csv.gz, found none")
        return cls([CandleFile.read(each) for each in found], origin)

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(self._files)

    def file(self, symbol: str) -> CandleFile:
        """The recording behind a symbol."""
        if symbol not in self._files:
            raise UnknownName("recorded pair", symbol, self._files)
        return self._files[symbol]

    def shift(self, symbol: str, at: datetime) -> timedelta:
        """Served time minus recorded time for the candle that covers `at`."""
        self.file(symbol)
        playback = self._playbacks[symbol]
        turns = playback.passed(int(at.timestamp()))
        return timedelta(seconds=playback.shift + turns * playback.period)

    def ends_at(self, symbol: str) -> datetime:
        """When the first playing is over and the recording begins again."""
        self.file(symbol)
        return datetime.fromtimestamp(self._playbacks[symbol].end, UTC)

    def resolution(self, symbol: str) -> int:
        return self._files[symbol].minutes

    def price_decimals(self, symbol: str) -> int:
        return self._files[symbol].price_decimals

    def volume_per_minute(self, symbol: str) -> float:
        return self._volumes[symbol]

    def bars(self, symbol: str, minutes: int, first: int, last: int) -> Bars:
        file, playback = self._files[symbol], self._playbacks[symbol]
        parts = [file.bars.between(first - playback.shift, last - playback.shift).moved(playback.shift)]
        for turn in range(max(1, playback.passed(first)), playback.passed(last - 1) + 1):
            shift = playback.shift + turn * playback.period
            begin = max(first - shift, file.end - playback.period)
            parts.append(file.bars.between(begin, last - shift).moved(shift))
        bars = Bars.join(parts)
        return bars if minutes == file.minutes else bars.aggregate(minutes)


def _read_columns(path: Path) -> Bars:
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="ascii") as lines:
            header = lines.readline().strip()
            if header != _COLUMNS:
                raise InputRefused(f"{path}: expected the header {_COLUMNS}, got {header[:80]!r}")
            rows = lines.read()
        if not rows.strip():
            raise InputRefused(f"{path}: expected candles below the header, got none")
        table = np.loadtxt(io.StringIO(rows), delimiter=",", dtype=np.float64, ndmin=2)
    except (OSError, EOFError, ValueError) as problem:
        raise InputRefused(f"{path}: not a readable candle file: {problem}") from problem
    if table.shape[1] != 6:
        raise InputRefused(f"{path}: expected rows of 6 numbers, got rows of {table.shape[1]}")
    return Bars(np.rint(table[:, 0] / 1000).astype(np.int64), *(table[:, n].copy() for n in range(1, 6)))


def _require_a_grid(path: Path, bars: Bars, minutes: int) -> None:
    if np.any(np.diff(bars.opened) <= 0):
        raise InputRefused(f"{path}: expected timestamps that grow from row to row")
    stray = bars.opened[bars.opened % (minutes * MINUTE) != 0]
    if len(stray):
        at = datetime.fromtimestamp(int(stray[0]), UTC)
        raise InputRefused(f"{path}: expected candles that open every {minutes} min, got one at {at:%F %T}")


def _decimals_of(bars: Bars) -> int:
    """The fewest decimals that say every price; files written from binary floats have tails of 1e-17."""
    prices = np.concatenate((bars.open, bars.high, bars.low, bars.close))
    enough = (
        n for n in range(_MOST_DECIMALS) if np.allclose(np.round(prices, n), prices, rtol=1e-12, atol=0)
    )
    return next(enough, _MOST_DECIMALS)


def _rounded(bars: Bars, decimals: int) -> Bars:
    prices = [np.round(each, decimals) for each in (bars.open, bars.high, bars.low, bars.close)]
    return Bars(bars.opened, prices[0], prices[1], prices[2], prices[3], bars.volume)
