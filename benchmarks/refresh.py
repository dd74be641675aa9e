"""The whole refresh of market data but for the fetching: 500 symbols × 720 new candles, then hour by hour.

Against bare TA-Lib on the same arrays, one bare COPY of the same rows, and rows written one by one through
the ORM, all in one run on one server.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
from sqlalchemy import Engine, text

from benchmarks.figures import Figure, record
from benchmarks.refresh_peers import (
    LOOKED_BACK_AT,
    TABLES,
    RowByRow,
    bare_copy,
    bare_talib,
    bare_talib_of_signals,
    row_by_row,
    seconds,
)
from missiondesk.market.candles import Candles
from missiondesk.market.ema_channel import CHANNEL
from missiondesk.market.panel import NewCandles
from missiondesk.market.regime import regimes
from missiondesk.market.signal_rows import CandleRows
from missiondesk.market.signal_series import explained, signal_series
from missiondesk.market.signal_settings import SignalSettings
from missiondesk.market.situation_series import Spans
from missiondesk.market.stored_indicators import INDICATORS
from missiondesk.refresh.calculation import Calculated, calculate
from missiondesk.refresh.settings import RefreshSettings
from missiondesk.refresh.steps import STEPS
from missiondesk.store.administration import drop_database
from missiondesk.store.database import connect, transaction
from missiondesk.store.embedded import EmbeddedPostgres
from missiondesk.store.market.candles import write_candles
from missiondesk.store.market.series import Series, keep_series
from missiondesk.store.migrate import upgrade

SYMBOLS = 500
CANDLES = 720
HOURS = 15
"""Increments, with rows written one by one between them; of each the fastest counts."""
HISTORY_SYMBOLS = 100
LONG_HISTORY = 5_000
ROUNDS = 15
HOUR = 3_600_000
FIRST = 1_600_000_000_000 // HOUR * HOUR
FIRST_REFRESH = f"series_id <= {SYMBOLS} AND open_time < to_timestamp({FIRST // 1000 + CANDLES * 3600})"
SYMBOLS_ONE_BY_ONE = 25
"""Written row by row in each hour, of which the time for all is reckoned."""


@dataclass(frozen=True)
class Increment:
    """One new candle of every symbol: seconds and rows; and the seconds of single rows."""

    seconds: float
    rows: Calculated
    one_by_one: RowByRow


@dataclass(frozen=True)
class Refreshed:
    """The first refresh: seconds, megabytes at the peak, rows. Then increments; two with other histories."""

    whole: float
    peak: float
    rows: int
    increment: Increment
    short: float
    long: float


def measure() -> dict[str, Figure]:
    """Takes about three minutes; nothing of it remains."""
    candles = walks(SYMBOLS, CANDLES)
    new = NewCandles.of(candles)
    bare, looking_back, alike, all_of_it = fastest(
        lambda: bare_talib(candles),
        lambda: bare_talib_of_signals(candles),
        lambda: compute_alike(new),
        lambda: compute(new),
    )
    texts = seconds(lambda: sum(1 for _ in explained(compute(new))))
    with server() as postgres:
        url = postgres.url("refresh")
        refreshed = in_process_of_its_own(refresh, url)
        engine = connect(url)
        copied = bare_copy(engine, FIRST_REFRESH)
        engine.dispose()
    size = f"{SYMBOLS} symbols × {CANDLES} candles, {refreshed.rows} rows, {os.cpu_count()} cores"
    increment, rows = refreshed.increment.seconds, refreshed.increment.rows
    one_by_one = refreshed.increment.one_by_one
    prepared, created, changed = SYMBOLS * one_by_one.prepared, one_by_one.created, one_by_one.changed
    written = created * rows.inserted + changed * rows.updated
    return {
        "refresh_vs_bare_talib": Figure(
            all_of_it / (bare + looking_back),
            "times",
            "TA-Lib's functions for the series among it: 16 calls a symbol",
            f"{all_of_it:.3f} s for everything computed (indicators, EMA channel, in-channel shares, volume "
            f"ratios, regimes, what signals look back at, scores, prices, states) against {bare:.3f} s for "
            f"indicators, ATR and EMA channel + {looking_back:.3f} s for MAX(365), ROC(10), ROC(20) and two "
            f"SMA(5), processor time; {all_of_it / bare:.1f} times the first alone; the words that "
            "explain scores are made while they are written, and counted in refresh_vs_bare_copy (about "
            f"{texts:.1f} s); {size}",
        ),
        "refresh_indicators_vs_bare_talib": Figure(
            alike / bare,
            "times",
            "TA-Lib's functions for the same values: 11 calls a symbol",
            f"{alike:.3f} s for indicators, EMA channel and their states against {bare:.3f} s, {size}",
        ),
        "refresh_vs_bare_copy": Figure(
            refreshed.whole / (bare + copied),
            "times",
            "TA-Lib and one COPY of the same rows, as bytes, into empty tables with the same indexes",
            f"{refreshed.whole:.1f} s against {bare:.3f} s + {copied:.1f} s, {size}",
        ),
        "refresh_vs_row_by_row": Figure(
            created * refreshed.rows / refreshed.whole,
            "times",
            "update_or_create of each row through the ORM, its calculation not counted",
            f"{refreshed.whole:.1f} s against {created * 1000:.2f} ms a row, reckoned from "
            f"{SYMBOLS_ONE_BY_ONE} rows of each table in each of {HOURS} hours, {size}",
        ),
        "refresh_increment_vs_row_by_row": Figure(
            (prepared + written) / increment,
            "times",
            f"through the ORM: the newest {LOOKED_BACK_AT} candles of each symbol, TA-Lib, update_or_create",
            f"{increment:.3f} s for one new candle of each of {SYMBOLS} symbols, from memory to committed "
            f"rows, against {prepared:.2f} s to read and calculate (reckoned from {SYMBOLS_ONE_BY_ONE}), "
            f"{rows.inserted} new rows at {created * 1000:.2f} ms, {rows.updated} signals closed at "
            f"{changed * 1000:.2f} ms, the fastest of {HOURS} hours in turns; "
            f"{written / increment:.0f} times against the writing alone",
        ),
        "refresh_increment_history_ratio": Figure(
            refreshed.long / refreshed.short,
            "times",
            f"the same increment behind {CANDLES} candles of each symbol",
            f"{refreshed.long:.3f} s for one new candle of each of {HISTORY_SYMBOLS} symbols behind "
            f"{LONG_HISTORY} candles of each, against {refreshed.short:.3f} s, in turns",
        ),
        "refresh_peak_mb": Figure(
            refreshed.peak, "MB", "aim: 500", f"resident memory of the refreshing process, {size}"
        ),
    }


def walks(symbols: int, candles: int) -> list[Candles]:
    """A random walk for each symbol."""
    chance = np.random.default_rng(0)
    found = []
    for number in range(symbols):
        close = np.exp(np.cumsum(chance.normal(0, 0.01, candles))) * 100
        opening = np.concatenate([close[:1], close[:-1]])
        high = np.maximum(opening, close) * (1 + np.abs(chance.normal(0, 0.003, candles)))
        low = np.minimum(opening, close) * (1 - np.abs(chance.normal(0, 0.003, candles)))
        volume = np.round(chance.exponential(10, candles), 8)
        times = FIRST + np.arange(candles) * HOUR
        found.append(Candles(times, opening, high, low, close, volume, "1h", f"C{number}/USD"))
    return found


def compute_alike(new: NewCandles) -> None:
    """What TA-Lib has functions for, on arrays in memory, and the states after it."""
    for calculation in (INDICATORS, CHANNEL):
        calculation.continued(np.tile(calculation.beginning, (len(new.lengths), 1)), new)


def compute(new: NewCandles) -> CandleRows:
    """All that the four calculating steps compute, on arrays in memory, for every candle."""
    rules, markets = SignalSettings(), len(new.lengths)
    indicators, _ = INDICATORS.continued(np.tile(INDICATORS.beginning, (markets, 1)), new)
    channels, _ = CHANNEL.continued(np.tile(CHANNEL.beginning, (markets, 1)), new)
    spans, older = Spans(rules), NewCandles({"close": np.empty(0)}, np.zeros(markets, dtype=np.int64))
    situations, _ = spans.continued(np.tile(spans.beginning, (markets, 1)), new, older)
    given = CandleRows(
        regimes=regimes(indicators["adx_14"], channels["in_channel_percent"]),
        rsi=indicators["rsi_14"],
        **{name: indicators[name] for name in ("macd", "macd_signal")},
        **{name: channels[name] for name in ("upper", "lower", "volume_ratio")},
        at=situations.places,
        situations=situations,
    )
    signal_series(given, rules)
    return given


def refresh(url: str) -> Refreshed:
    """From candles in memory to committed rows."""
    engine = connect(url)
    bench = Bench(engine, "bench", walks(SYMBOLS, CANDLES + HOURS))
    whole = bench.add(0, CANDLES)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows = count(engine)
    settle(engine)
    hours = [
        (bench.add(hour, hour + 1), row_by_row(engine, FIRST + hour * HOUR, SYMBOLS_ONE_BY_ONE))
        for hour in range(CANDLES, CANDLES + HOURS)
    ]
    taken = min(ours for ours, _ in hours)
    one_by_one = RowByRow(
        *(min(column) for column in zip(*(astuple(peer) for _, peer in hours), strict=True))
    )
    short = Bench(engine, "short", walks(HISTORY_SYMBOLS, CANDLES + HOURS))
    long = Bench(engine, "long", walks(HISTORY_SYMBOLS, LONG_HISTORY + HOURS))
    histories = ((short, CANDLES), (long, LONG_HISTORY))
    for each, history in histories:
        each.add(0, history)
    settle(engine)
    in_turns = [
        (
            short.add(CANDLES + hour, CANDLES + hour + 1),
            long.add(LONG_HISTORY + hour, LONG_HISTORY + hour + 1),
        )
        for hour in range(HOURS)
    ]
    after_short, after_long = (min(column) for column in zip(*in_turns, strict=True))
    increment = Increment(taken, bench.last, one_by_one)
    return Refreshed(whole, peak, rows, increment, after_short, after_long)


class Bench:
    """Some symbols, and the rows of their last refresh."""

    def __init__(self, engine: Engine, exchange: str, candles: list[Candles]) -> None:
        self._engine, self._candles, self._settings = engine, candles, RefreshSettings()
        self._series = keep_series(engine, exchange, [each.symbol for each in candles], ["1h"])
        self.last = Calculated()

    def add(self, start: int, stop: int) -> float:
        """Seconds from these candles of every symbol in memory to committed rows of all that follows."""
        given: list[tuple[Series, Candles]] = [
            (series, candles[start:stop]) for series, candles in zip(self._series, self._candles, strict=True)
        ]
        began = time.perf_counter()
        with transaction(self._engine) as connection:
            written = write_candles(connection, given)
        self.last = Calculated(inserted=sum(each.inserted for each in written.values()))
        for step in STEPS[1:]:
            self.last = self.last.and_also(calculate(self._engine, step, self._series, self._settings))
        return time.perf_counter() - began


def settle(engine: Engine) -> None:
    """What PostgreSQL would do by itself some time after so many new rows."""
    with engine.connect() as connection:
        connection.execute(text("VACUUM ANALYZE"))
        connection.execute(text("CHECKPOINT"))


def count(engine: Engine) -> int:
    with engine.connect() as connection:
        return sum(connection.scalar(text(f"SELECT count(*) FROM {table.name}")) or 0 for table in TABLES)  # noqa: S608


def fastest(*works: Callable[[], object]) -> list[float]:
    """Seconds of processor time of the fastest of some rounds of each, in turns: neighbours count less."""

    def once(work: Callable[[], object]) -> float:
        began = time.process_time()
        work()
        return time.process_time() - began

    rounds = [[once(work) for work in works] for _ in range(ROUNDS)]
    return [min(column) for column in zip(*rounds, strict=True)]


def in_process_of_its_own(work: Callable[[str], Refreshed], url: str) -> Refreshed:
    """Its memory is measured from a fresh start."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, (url,))


@contextmanager
def server() -> Iterator[EmbeddedPostgres]:
    home = Path(tempfile.mkdtemp(prefix="bench-"))
    postgres = EmbeddedPostgres(home)
    postgres.start()
    try:
        postgres.create_database("refresh")
        upgrade(postgres.url("refresh"))
        yield postgres
        drop_database(postgres.url("postgres"), "refresh")
    finally:
        postgres.stop()
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    record(measure())
