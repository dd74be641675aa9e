"""What a refresh is measured against: bare TA-Lib, one bare COPY, rows written one by one through the ORM."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import talib
from sqlalchemy import Engine, Table, select, text
from sqlalchemy.orm import Session, registry

from missiondesk.market.candles import Candles
from missiondesk.store.database import transaction
from models.market_tables import candle, ema_channel, indicator, market_regime, trading_signal

LOOKED_BACK_AT = 365
"""Candles for the highest close before the present one."""

TABLES = (candle, indicator, ema_channel, market_regime, trading_signal)


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


def bare_talib_of_signals(candles: list[Candles]) -> None:
    """What else TA-Lib has functions for: the highest close, gains, and the means behind a divergence."""
    for each in candles:
        talib.MAX(each.close, 365)
        talib.ROC(each.close, 10)
        talib.ROC(each.close, 20)
        talib.SMA(each.close, 5)
        talib.SMA(each.volume, 5)


def bare_copy(engine: Engine, where: str) -> float:
    """Seconds to COPY the bytes of these rows of all tables into empty ones with the same indexes."""
    total = 0.0
    for table in TABLES:
        with transaction(engine) as connection:
            cursor = connection.connection.cursor()
            rows = io.BytesIO()
            query = f"SELECT * FROM {table.name} WHERE {where}"  # noqa: S608
            cursor.copy_expert(f"COPY ({query}) TO STDOUT (FORMAT binary)", rows, 1 << 20)
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


@dataclass(frozen=True)
class RowByRow:
    """Seconds: of one symbol's reading and calculating, of one new row, and of one signal that is closed."""

    prepared: float
    created: float
    changed: float


def row_by_row(engine: Engine, hour: int, symbols: int) -> RowByRow:
    """An hour of the first `symbols` without anything remembered: rows through the ORM, one after the other.

    Of each symbol the candles that its signals look back at are read and TA-Lib is called for all of them;
    then `update_or_create` (look for it, change or add it, commit) writes what an increment has just written,
    into the tables that have all before.
    """
    opened = f"to_timestamp({hour / 1000})"
    newest = f"series_id <= {symbols} AND open_time = {opened}"
    created = 0.0
    for table in TABLES:
        rows = _rows(engine, table, newest)
        with engine.connect() as connection:
            connection.execute(text(f"DELETE FROM {table.name} WHERE {newest}"))  # noqa: S608
        created += update_or_create(engine, table, rows) / len(TABLES)
    closed = _rows(engine, trading_signal, f"exit_open_time = {opened} LIMIT {symbols}")
    with engine.connect() as connection:
        connection.execute(
            text("UPDATE trading_signal SET status = 'active', exit_price = NULL WHERE id = ANY (:ids)"),
            {"ids": [row["id"] for row in closed]},
        )
    changed = update_or_create(engine, trading_signal, closed)
    prepared = seconds(lambda: [_prepare(engine, series_id) for series_id in range(1, symbols + 1)]) / symbols
    return RowByRow(prepared, created, changed)


def _prepare(engine: Engine, series_id: int) -> None:
    mapped = _mapped(candle)
    with Session(engine) as session:
        newest = session.query(mapped).filter_by(series_id=series_id).order_by(mapped.open_time.desc())
        rows = newest.limit(LOOKED_BACK_AT).all()[::-1]
    columns = {
        name: np.array([float(getattr(row, name)) for row in rows])
        for name in ("open", "high", "low", "close", "volume")
    }
    opened = np.array([row.open_time.timestamp() * 1000 for row in rows], dtype=np.int64)
    candles = [Candles(opened, *columns.values(), "1h", str(series_id))]
    bare_talib(candles)
    bare_talib_of_signals(candles)


def _mapped(table: Table) -> Any:
    mapped: Any = type("Mapped", (), {})
    registry(metadata=table.metadata).map_imperatively(mapped, table)
    return mapped


def _rows(engine: Engine, table: Table, where: str) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        return [dict(row._mapping) for row in connection.execute(select(table).where(text(where)))]


def update_or_create(engine: Engine, table: Table, rows: list[dict[str, Any]]) -> float:
    """Seconds a row."""
    mapped = _mapped(table)
    key = [name for name in ("series_id", "open_time", "strategy") if name in table.c]
    atomic = engine.execution_options(isolation_level="READ COMMITTED")
    began = time.perf_counter()
    for row in rows:
        with Session(atomic) as session:
            found = session.query(mapped).filter_by(**{name: row[name] for name in key}).one_or_none()
            if found is None:
                found = mapped()
                session.add(found)
            for name, value in row.items():
                setattr(found, name, value)
            session.commit()
    return (time.perf_counter() - began) / len(rows)


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
