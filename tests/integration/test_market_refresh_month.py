"""A month of recorded candles, arriving hour by hour, ends in the tables of one calculation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from sqlalchemy import Engine

from missiondesk.refresh.settings import RefreshSettings
from missiondesk.store.administration import drop_database
from missiondesk.store.database import connect
from missiondesk.store.embedded import EmbeddedPostgres
from tests.candle_tape import CandleTape, recorded
from tests.conftest import TEMPLATE
from tests.hour_by_hour import HOUR, HourByHour, calculate_at_once, expect_the_same_tables

# 2017-06-01: lively, and with hours in which nothing traded.
FIRST = 1_496_275_200_000
MONTH = 31 * 24


@pytest.fixture
def at_once(postgres: EmbeddedPostgres) -> Iterator[Engine]:
    """A second database."""
    name = f"test_{uuid4().hex}"
    postgres.create_database(name, TEMPLATE)
    engine = connect(postgres.url(name))
    yield engine
    engine.dispose()
    drop_database(postgres.url("postgres"), name)


@pytest.fixture(scope="session")
def hourly(shared_data: Path):
    folder = shared_data / "ohlcv" / "kraken"
    return {
        symbol: recorded(folder / f"{symbol.replace('/', '-')}_1h.csv.gz", symbol)
        for symbol in ("BTC/USD", "ETH/USD")
    }


@pytest.mark.timeout(1200)
def test_hour_by_hour_is_all_at_once(database_url: str, at_once: Engine, hourly) -> None:
    tape = CandleTape(hourly)
    settings = RefreshSettings(symbols=tuple(hourly))
    corrected = FIRST + 400 * HOUR
    tape.wrong["BTC/USD", "1h", corrected] = corrected + 3 * HOUR
    HourByHour(database_url, tape, settings, np.random.default_rng(1)).play(FIRST, MONTH)
    calculate_at_once(at_once, tape, settings, FIRST)
    engine = connect(database_url)
    expect_the_same_tables(engine, at_once)
    engine.dispose()
