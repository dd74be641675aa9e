"""A year of recorded candles, arriving hour by hour, ends in the tables of one calculation. Takes long.

Collected only when MISSIONDESK_SOAK is set, as `make soak` does.
"""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest

from missiondesk.refresh.settings import RefreshSettings
from missiondesk.store.administration import drop_database
from missiondesk.store.database import connect
from missiondesk.store.embedded import EmbeddedPostgres
from tests.candle_tape import CandleTape, recorded
from tests.conftest import TEMPLATE
from tests.hour_by_hour import HOUR, HourByHour, calculate_at_once, expect_the_same_tables

pytestmark = [
    pytest.mark.skipif("MISSIONDESK_SOAK" not in os.environ, reason="takes long: run `make soak`"),
    pytest.mark.timeout(7200),
]

# 2017-01-01
FIRST = 1_483_228_800_000
YEAR = 365 * 24


def test_a_year_hour_by_hour_is_all_at_once(
    database_url: str, postgres: EmbeddedPostgres, shared_data: Path
) -> None:
    folder = shared_data / "ohlcv" / "kraken"
    hourly = {
        symbol: recorded(folder / f"{symbol.replace('/', '-')}_1h.csv.gz", symbol)
        for symbol in ("BTC/USD", "ETH/USD")
    }
    tape, settings = CandleTape(hourly), RefreshSettings(symbols=tuple(hourly))
    for symbol, hour in (("BTC/USD", 400), ("ETH/USD", 5000)):
        corrected = FIRST + hour * HOUR
        tape.wrong[symbol, "1h", corrected] = corrected + 3 * HOUR
    HourByHour(database_url, tape, settings, np.random.default_rng(1)).play(FIRST, YEAR)
    name = f"test_{uuid4().hex}"
    postgres.create_database(name, TEMPLATE)
    engine, at_once = connect(database_url), connect(postgres.url(name))
    calculate_at_once(at_once, tape, settings, FIRST)
    expect_the_same_tables(engine, at_once)
    engine.dispose()
    at_once.dispose()
    drop_database(postgres.url("postgres"), name)
