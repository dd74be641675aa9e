"""Recorded candles that arrive hour by hour, with all that goes wrong on the way, against one calculation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Engine, text

from missiondesk.market.candles import to_datetime
from missiondesk.refresh.calculation import calculate
from missiondesk.refresh.fetch import fetch_market
from missiondesk.refresh.settings import RefreshSettings
from missiondesk.refresh.steps import STEPS, Step
from missiondesk.store.database import connect, transaction
from missiondesk.store.market.candles import write_candles
from missiondesk.store.market.series import Series, keep_series
from models.errors import ExchangeUnreachable
from tests.candle_tape import CandleTape

HOUR = 3_600_000
FIVE_PAST = 5 * 60_000

TABLES = {
    "candle": "open_time, open, high, low, close, volume, source",
    "candle_gap": "first_open_time, last_open_time",
    "indicator": "open_time, sma_20, ema_12, ema_26, rsi_14, macd, macd_signal, macd_hist, adx_14, atr_14,"
    " bollinger_upper, bollinger_middle, bollinger_lower, volume_mean",
    "ema_channel": "open_time, upper, lower, width_percent, in_channel_percent, volume_ratio, direction",
    "market_regime": "open_time, regime, adx, in_channel_percent",
    "trading_signal": "open_time, strategy, action, size, confidence, entry, stop, take_profit, risk_percent,"
    " reward_percent, status, exit_open_time, exit_price, pnl_percent, reasons::text, breakdown::text",
}


def contents(engine: Engine, table: str) -> list[tuple[Any, ...]]:
    """Every row of a table but for what numbers it, in the order of markets and times."""
    columns = TABLES[table]
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                f"SELECT symbol, interval, {columns} FROM {table} JOIN series ON series.id = series_id"  # noqa: S608
                " ORDER BY symbol, interval, 3, 4"
            )
        )
        return [tuple(row) for row in rows]


def series_of(engine: Engine, settings: RefreshSettings) -> list[Series]:
    return keep_series(engine, "tape", settings.symbols, settings.intervals)


@dataclass
class HourByHour:
    """Plays hours to a database. `chance` decides which of them go wrong, and how."""

    url: str
    tape: CandleTape
    settings: RefreshSettings
    chance: np.random.Generator

    def play(self, first: int, hours: int) -> None:
        """From `first` (ms, an hour) on; one outage of five hours in the middle."""
        engine = connect(self.url)
        outage = range(hours // 2, hours // 2 + 5)
        for hour in range(hours):
            self.tape.now = first + hour * HOUR + FIVE_PAST
            self.tape.unreachable = hour in outage
            luck = self.chance.random()
            last = hour == hours - 1
            if luck < 0.05 and not last:
                # Dies between two steps; the next hour is another process.
                self._refresh(engine, STEPS[: self.chance.integers(0, len(STEPS))])
                engine.dispose()
                engine = connect(self.url)
                continue
            self._refresh(engine, STEPS)
            if luck > 0.95:
                self._refresh(engine, STEPS)
        engine.dispose()

    def _refresh(self, engine: Engine, steps: Sequence[Step]) -> None:
        series = series_of(engine, self.settings)
        for step in steps:
            if step is Step.OHLC:
                for symbol in self.settings.symbols:
                    self._fetch(engine, [each for each in series if each.symbol == symbol])
            else:
                calculate(engine, step, series, self.settings)

    def _fetch(self, engine: Engine, series: Sequence[Series]) -> None:
        try:
            fetch_market(engine, self.tape, series, to_datetime(self.tape.now), self.settings)
        except ExchangeUnreachable:
            assert self.tape.unreachable


def calculate_at_once(engine: Engine, tape: CandleTape, settings: RefreshSettings, first: int) -> None:
    """What `play` should come to: the candles since the 720th before `first`, then each step once."""
    now = to_datetime(tape.now)
    series = series_of(engine, settings)
    with transaction(engine) as connection:
        given = []
        for each in series:
            whole = tape.whole(each.symbol, each.interval)
            begun = int(np.searchsorted(whole.open_time, first + FIVE_PAST, side="right"))
            given.append((each, whole[max(begun - 720, 0) :].closed_at(now)))
        write_candles(connection, given)
    for step in STEPS[1:]:
        calculate(engine, step, series, settings)


def expect_the_same_tables(one: Engine, other: Engine) -> None:
    for table in TABLES:
        found, wanted = contents(one, table), contents(other, table)
        different = [(ours, theirs) for ours, theirs in zip(found, wanted, strict=False) if ours != theirs]
        assert not different, f"{table}: {len(different)} rows differ, the first: {different[0]}"
        assert len(found) == len(wanted), table
        assert wanted, f"{table} is empty"
