"""A day of recorded hourly candles, arriving through the sandbox, ccxt and the real flows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from sqlalchemy import Engine, text

from deployments.prefork.prefect_private import engine_for_many_runs
from flows import market
from flows.desk import desk_of_this_process
from flows.market import Reports, update_all
from missiondesk.exchanges.sandbox.faults import Answer, Fault
from missiondesk.exchanges.sandbox.market import Staging
from missiondesk.exchanges.sandbox.server import SandboxServer
from missiondesk.market.candles import Candles
from missiondesk.refresh.calculation import calculate
from missiondesk.refresh.order import RefreshFailed
from missiondesk.refresh.settings import RefreshSettings
from missiondesk.refresh.steps import STEPS
from missiondesk.store.database import connect, transaction
from missiondesk.store.market.candles import write_candles
from missiondesk.store.market.series import keep_series
from tests.hour_by_hour import TABLES, contents
from tests.integration.market_desk import market_desk

pytestmark = pytest.mark.prefect

START = datetime(2026, 11, 20, 0, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
SETTINGS = RefreshSettings(symbols=("BTC/USD", "ETH/USD"))

STEP_BY_STEP, TWICE, OUTAGE, HALF_SERVED, CUT_SHORT = 3, (5, 20), range(8, 13), 14, 17

Served = dict[tuple[str, str], Candles]


@pytest.fixture
def clock() -> SimpleNamespace:
    return SimpleNamespace(now=START)


@pytest.fixture
def sandbox(shared_data: Path, tmp_path: Path, clock: SimpleNamespace) -> Iterator[SandboxServer]:
    """Plays what Kraken once served, ending a day from now."""
    for symbol in SETTINGS.symbols:
        name = f"{symbol.replace('/', '-')}_1h.csv.gz"
        (tmp_path / name).symlink_to(shared_data / "ohlcv" / "kraken" / name)
    with SandboxServer(source=tmp_path, clock=lambda: clock.now) as server:
        yield server


@pytest.fixture
def desk(
    database_url: str,
    prefect_api: str,
    sandbox: SandboxServer,
    short_home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Engine]:
    monkeypatch.setattr("tasks.market.fetch_symbol.retry_delay_seconds", 0)
    with (
        market_desk(database_url, sandbox.url, short_home, SETTINGS.symbols, monkeypatch) as engine,
        engine_for_many_runs(),
    ):
        yield engine


def served(now: datetime) -> Served:
    """All closed candles that the exchange serves at this moment."""
    exchange = desk_of_this_process().market("sandbox")
    return {
        (symbol, interval): exchange.candles(symbol, interval, since=None, limit=720).closed_at(now)
        for symbol in SETTINGS.symbols
        for interval in SETTINGS.intervals
    }


def artifacts() -> list[list[dict[str, Any]]]:
    """The table of each run, the newest first."""

    async def read() -> list[list[dict[str, Any]]]:
        async with get_client() as client:
            key = ArtifactFilter(key=ArtifactFilterKey(any_=["market-refresh"]))
            found = await client.read_artifacts(artifact_filter=key, sort="CREATED_DESC", limit=200)
            return [json.loads(each.data) for each in found]

    return asyncio.run(read())


def step_by_step(now: datetime) -> Reports:
    """As the five deployments do it."""
    flows = (
        market.fetch_ohlc_data,
        market.calculate_indicators,
        market.calculate_ema_channel,
        market.calculate_market_regime,
        market.generate_trading_signals,
    )
    return {step: report for flow in flows for step, report in flow(now).items()}


def test_a_day_ends_in_the_tables_of_one_calculation(
    desk: Engine, other_database_url: str, sandbox: SandboxServer, clock: SimpleNamespace
) -> None:
    at_first = served(START)
    tables = len(artifacts())
    runs: list[Reports] = []
    failed = 0
    for hour in range(24):
        clock.now = START + hour * HOUR
        if hour == OUTAGE.start:
            sandbox.sandbox.faults.add(Fault(answer=Answer.DROPPED, times=None))
        if hour == OUTAGE.stop:
            sandbox.sandbox.faults.clear()
        if hour == HALF_SERVED:
            # The candle of the hour before is served as it stood in its middle.
            as_of = (clock.now - timedelta(minutes=35)).timestamp()
            stage(sandbox, clock.now, Staging(candles_at=as_of))
        if hour == HALF_SERVED + 1:
            stage(sandbox, clock.now, Staging())
        if hour in OUTAGE:
            with pytest.raises(RefreshFailed, match="ohlc failed: BTC/USD: "):
                update_all(clock.now)
            failed += 1
        elif hour == STEP_BY_STEP:
            runs += [{step: report} for step, report in step_by_step(clock.now).items()]
        elif hour == CUT_SHORT:
            runs.append(market.fetch_ohlc_data(clock.now))
            desk_of_this_process.cache_clear()
        else:
            runs.append(update_all(clock.now))
            assert list(runs[-1]) == list(STEPS)
        if hour in TWICE:
            runs.append(update_all(clock.now))
            assert done(runs[-1]) == 0
        if hour == HALF_SERVED + 1:
            assert runs[-1]["ohlc"]["corrected"] == 1

    expect_a_table_of_each_run(desk, artifacts()[: len(artifacts()) - tables], runs, failed)
    other = connect(other_database_url)
    calculate_at_once(other, at_first, served(clock.now))
    for table in TABLES:
        assert contents(desk, table) == contents(other, table), table
    assert len(contents(desk, "trading_signal")) > 1000
    other.dispose()


def stage(sandbox: SandboxServer, now: datetime, staging: Staging) -> None:
    sandbox.sandbox.exchange.stage("BTC/USD", staging, now.timestamp())


def done(reports: Reports) -> int:
    """Rows that are new or differ."""
    counts = ("inserted", "updated", "corrected", "changed", "expired")
    return sum(report.get(name, 0) for report in reports.values() for name in counts)


def expect_a_table_of_each_run(
    desk: Engine, tables: list[list[dict[str, Any]]], runs: list[Reports], failed: int
) -> None:
    assert len(tables) == len(runs) + failed
    of_failed = [rows for rows in tables if "error" in rows[-1]]
    assert [row["step"] for rows in of_failed for row in rows] == ["ohlc"] * failed
    rows = [row for rows in tables if "error" not in rows[-1] for row in rows]
    assert {row["step"] for row in rows} == set(STEPS)
    for step, table in (("ohlc", "candle"), ("signals", "trading_signal")):
        with desk.connect() as connection:
            stored = connection.scalar(text(f"SELECT count(*) FROM {table}"))  # noqa: S608
        assert sum(row["inserted"] for row in rows if row["step"] == step) == stored
    assert all("untraded" in row["gaps"] for row in rows if row["step"] == "ohlc")
    changed = sum(row["changed"] for row in rows if row["step"] == "signals")
    assert changed == sum(run["signals"]["changed"] for run in runs if "signals" in run) > 0


def calculate_at_once(engine: Engine, at_first: Served, at_last: Served) -> None:
    series = keep_series(engine, "sandbox", SETTINGS.symbols, SETTINGS.intervals)
    with transaction(engine) as connection:
        for each in series:
            early, late = (found[each.symbol, each.interval] for found in (at_first, at_last))
            only_early = early[: int(np.searchsorted(early.open_time, late.open_time[0]))]
            write_candles(connection, [(each, only_early)])
            write_candles(connection, [(each, late)])
    for step in STEPS[1:]:
        calculate(engine, step, series, SETTINGS)
