"""The whole refresh of market data but for the fetching: 500 symbols × 720 new candles, then one more each.

Against bare TA-Lib on the same arrays, one bare COPY of the same rows, and rows written one by one through
the ORM, all in one run on one server.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import talib
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session, registry

from benchmarks.figures import Figure, record
from missiondesk.market.candles import Candles
from missiondesk.market.ema_channel import continue_channel
from missiondesk.market.panel import SeriesState
from missiondesk.market.regime import regimes
from missiondesk.market.signal_series import CandleRows, signal_series
from missiondesk.market.stored_indicators import continue_indicators
from missiondesk.refresh.calculation import calculate
from missiondesk.refresh.settings import RefreshSettings
from missiondesk.refresh.steps import STEPS
from missiondesk.store.administration import drop_database
from missiondesk.store.database import connect, transaction
from missiondesk.store.embedded import EmbeddedPostgres
from missiondesk.store.market.candles import write_candles
from missiondesk.store.market.series import Series, keep_series
from missiondesk.store.migrate import upgrade
from models.market_tables import candle, ema_channel, indicator, market_regime, trading_signal

SYMBOLS = 500
CANDLES = 720
ROUNDS = 10
HOUR = 3_600_000
FIRST = 1_600_000_000_000 // HOUR * HOUR
TABLES = (candle, indicator, ema_channel, market_regime, trading_signal)
ROWS_ONE_BY_ONE = 300
"""Of each table, of which the time for all is reckoned."""


@dataclass(frozen=True)
class Measured:
    """Seconds, megabytes at the peak, and rows."""

    whole: float
    increment: float
    increment_rows: int
    peak: float
    rows: int


def measure() -> dict[str, Figure]:
    """Takes about three minutes; nothing of it remains."""
    candles = [each[:-1] for each in walks()]
    bare, computing = fastest(lambda: bare_talib(candles)), fastest(lambda: compute(candles))
    alike = fastest(lambda: compute_alike(candles))
    with server() as postgres:
        url = postgres.url("refresh")
        refreshed = in_process_of_its_own(refresh, url)
        engine = connect(url)
        copied = bare_copy(engine)
        one_row = row_by_row(engine)
        engine.dispose()
    cores = os.cpu_count()
    size = f"{SYMBOLS} symbols × {CANDLES} candles, {refreshed.rows} rows, {cores} cores"
    return {
        "refresh_vs_bare_talib": Figure(
            alike / bare,
            "times",
            "TA-Lib's functions for the same values",
            f"{alike:.3f} s for indicators, channel and states against {bare:.3f} s, processor time, {size}",
        ),
        "refresh_with_decisions_vs_bare_talib": Figure(
            computing / bare,
            "times",
            "TA-Lib's functions for the indicators alone",
            f"{computing:.3f} s with regimes and scores, which TA-Lib has not, against {bare:.3f} s, {size}",
        ),
        "refresh_vs_bare_copy": Figure(
            refreshed.whole / (bare + copied),
            "times",
            "TA-Lib and one COPY of the same rows, as bytes, into empty tables with the same indexes",
            f"{refreshed.whole:.1f} s against {bare:.3f} s + {copied:.1f} s, {size}",
        ),
        "refresh_vs_row_by_row": Figure(
            one_row * refreshed.rows / refreshed.whole,
            "times",
            "update_or_create of each row through the ORM, its calculation not counted",
            f"{refreshed.whole:.1f} s against {one_row * 1000:.2f} ms a row, reckoned from {ROWS_ONE_BY_ONE} "
            f"rows of each table, {size}",
        ),
        "refresh_increment_vs_row_by_row": Figure(
            one_row * refreshed.increment_rows / refreshed.increment,
            "times",
            "update_or_create of each row through the ORM, its calculation not counted",
            f"{refreshed.increment:.3f} s for one new candle of each of {SYMBOLS} symbols, "
            f"{refreshed.increment_rows} rows",
        ),
        "refresh_peak_mb": Figure(
            refreshed.peak, "MB", "aim: 500", f"resident memory of the refreshing process, {size}"
        ),
    }


def walks() -> list[Candles]:
    """A random walk for each symbol, one candle longer than the first refresh."""
    chance = np.random.default_rng(0)
    found = []
    for number in range(SYMBOLS):
        close = np.exp(np.cumsum(chance.normal(0, 0.01, CANDLES + 1))) * 100
        opening = np.concatenate([close[:1], close[:-1]])
        high = np.maximum(opening, close) * (1 + np.abs(chance.normal(0, 0.003, CANDLES + 1)))
        low = np.minimum(opening, close) * (1 - np.abs(chance.normal(0, 0.003, CANDLES + 1)))
        volume = np.round(chance.exponential(10, CANDLES + 1), 8)
        times = FIRST + np.arange(CANDLES + 1) * HOUR
        found.append(Candles(times, opening, high, low, close, volume, "1h", f"C{number}/USD"))
    return found


def bare_talib(candles: list[Candles]) -> None:
    for each in candles:
        high, low, close, volume = each.high, each.low, each.close, each.volume
        talib.SMA(close, 20)
        talib.EMA(close, 12)
        talib.EMA(close, 26)
        talib.RSI(close, 14)
        talib.MACD(close, 12, 26, 9)
        talib.ADX(high, low, close, 14)
        talib.ATR(high, low, close, 14)
        talib.BBANDS(close, 20, 2, 2)
        talib.SMA(volume, 20)
        talib.EMA(high, 33)
        talib.EMA(low, 33)


def compute_alike(new: list[Candles]) -> None:
    """What TA-Lib has functions for, on arrays in memory, and the states after it."""
    nothing = [SeriesState()] * len(new)
    continue_indicators(nothing, new)
    continue_channel(nothing, new)


def compute(new: list[Candles]) -> None:
    """All that the four calculating steps compute, on arrays in memory."""
    nothing = [SeriesState()] * len(new)
    indicators, channels = continue_indicators(nothing, new), continue_channel(nothing, new)

    def column(of: list[Any], name: str) -> Any:
        return np.concatenate([each.values[name] for each in of])

    adx, inside = column(indicators, "adx_14"), column(channels, "in_channel_percent")
    rows = np.flatnonzero(~np.isnan(adx) & ~np.isnan(inside))
    signal_series(
        CandleRows(
            closes=np.concatenate([each.close for each in new]),
            volumes=np.concatenate([each.volume for each in new]),
            firsts=np.repeat(np.arange(len(new)) * CANDLES, CANDLES),
            rows=rows,
            regimes=regimes(adx[rows], inside[rows]),
            **{name: column(channels, name)[rows] for name in ("upper", "lower", "volume_ratio")},
            **{name: column(indicators, name)[rows] for name in ("macd", "macd_signal")},
            rsi=column(indicators, "rsi_14")[rows],
        )
    )


def refresh(url: str) -> Measured:
    """Both refreshes, from candles in memory to committed rows."""
    candles, settings, engine = walks(), RefreshSettings(), connect(url)
    series = keep_series(engine, "bench", [each.symbol for each in candles], ["1h"])
    whole = seconds(lambda: write_and_calculate(engine, series, [each[:-1] for each in candles], settings))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows = count(engine)
    with engine.connect() as connection:
        connection.execute(text("ANALYZE"))
    increment = seconds(
        lambda: write_and_calculate(engine, series, [each[-1:] for each in candles], settings)
    )
    return Measured(whole, increment, count(engine) - rows, peak, rows)


def write_and_calculate(
    engine: Engine, series: list[Series], candles: list[Candles], settings: RefreshSettings
) -> None:
    with transaction(engine) as connection:
        write_candles(connection, list(zip(series, candles, strict=True)))
    for step in STEPS[1:]:
        calculate(engine, step, series, settings)


def bare_copy(engine: Engine) -> float:
    """Seconds to COPY the bytes of all rows into empty tables with the same indexes."""
    total = 0.0
    for table in TABLES:
        with transaction(engine) as connection:
            cursor = connection.connection.cursor()
            rows = io.BytesIO()
            cursor.copy_expert(f"COPY {table.name} TO STDOUT (FORMAT binary)", rows, 1 << 20)
            cursor.execute(f"CREATE TABLE bare (LIKE {table.name} INCLUDING ALL)")
        rows.seek(0)

        def copy(rows: io.BytesIO = rows) -> None:
            with transaction(engine) as connection:
                connection.connection.cursor().copy_expert(
                    "COPY bare FROM STDIN (FORMAT binary)", rows, 1 << 20
                )

        total += seconds(copy)
        with transaction(engine) as connection:
            connection.connection.cursor().execute("DROP TABLE bare")
    return total


def row_by_row(engine: Engine) -> float:
    """Seconds a row for `update_or_create`: look for it, change or add it, commit."""
    total = 0.0
    for table in TABLES:
        mapped: Any = type("Mapped", (), {})
        registry(metadata=table.metadata).map_imperatively(mapped, table)
        with engine.connect() as connection:
            rows = [dict(row._mapping) for row in connection.execute(select(table).limit(ROWS_ONE_BY_ONE))]
            connection.execute(
                text(
                    f"DELETE FROM {table.name} WHERE (series_id, open_time) IN"  # noqa: S608
                    f" (SELECT series_id, open_time FROM {table.name} LIMIT {ROWS_ONE_BY_ONE // 2})"
                )
            )
        key = [name for name in ("series_id", "open_time", "strategy") if name in table.c]
        total += seconds(lambda: update_or_create(engine, mapped, key, rows))  # noqa: B023
    return total / (len(TABLES) * ROWS_ONE_BY_ONE)


def update_or_create(engine: Engine, mapped: Any, key: list[str], rows: list[dict[str, Any]]) -> None:
    for row in rows:
        with Session(engine.execution_options(isolation_level="READ COMMITTED")) as session:
            found = session.query(mapped).filter_by(**{name: row[name] for name in key}).one_or_none()
            if found is None:
                found = mapped()
                session.add(found)
            for name, value in row.items():
                setattr(found, name, value)
            session.commit()


def count(engine: Engine) -> int:
    with engine.connect() as connection:
        return sum(connection.scalar(text(f"SELECT count(*) FROM {table.name}")) or 0 for table in TABLES)  # noqa: S608


def fastest(work: Callable[[], object]) -> float:
    """Seconds of processor time of the fastest of some rounds: neighbours on the machine count less."""

    def once() -> float:
        began = time.process_time()
        work()
        return time.process_time() - began

    return min(once() for _ in range(ROUNDS))


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def in_process_of_its_own(work: Callable[[str], Measured], url: str) -> Measured:
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
