"""A process that refreshes market data hour after hour, until it has done them all or is killed."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Engine

from missiondesk.market.candles import to_datetime
from missiondesk.refresh.calculation import calculate
from missiondesk.refresh.fetch import fetch_market
from missiondesk.refresh.order import hour_of, run_step
from missiondesk.refresh.settings import RefreshSettings
from missiondesk.refresh.steps import STEPS, Step
from missiondesk.store.database import connect
from tests.candle_tape import CandleTape
from tests.hour_by_hour import FIVE_PAST, HOUR, series_of


def refresh_hours(
    url: str, tape: CandleTape, settings: RefreshSettings, first: int, hours: int, run: str
) -> None:
    """From `first` (ms, an hour) on, each step as its deployment would run it."""
    engine = connect(url)
    for hour in range(first, first + hours * HOUR, HOUR):
        tape.now = hour + FIVE_PAST
        for step in STEPS:
            refresh_step(engine, tape, settings, step, f"{run} {hour}")
    engine.dispose()


def refresh_step(engine: Engine, tape: CandleTape, settings: RefreshSettings, step: Step, run: str) -> None:
    now = to_datetime(tape.now)
    work = partial(_work, engine, tape, settings, step, now)
    run_step(engine, run, step, hour_of(now), work, scheduled=True)


def _work(
    engine: Engine, tape: CandleTape, settings: RefreshSettings, step: Step, now: datetime
) -> dict[str, Any]:
    series = series_of(engine, settings)
    if step is Step.OHLC:
        for symbol in settings.symbols:
            fetch_market(engine, tape, [each for each in series if each.symbol == symbol], now, settings)
        return {}
    return {"inserted": calculate(engine, step, series, settings).inserted}
