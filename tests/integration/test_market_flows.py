"""The flows and deployments that keep market data fresh: where they fetch from, their limits and retries."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import (
    TaskRunFilter,
    TaskRunFilterName,
)
from prefect.exceptions import ObjectAlreadyExists
from prefect.flows import load_flow_from_entrypoint
from pydantic import SecretStr
from sqlalchemy import Engine, text

from blocks.exchange_account import ExchangeAccount
from deployments.market import MARKET_FLOWS, QUEUES
from deployments.sync import sync
from flows.desk import desk_of_this_process
from flows.market import fetch_ohlc_data, update_all
from flows.market_runs import FLOWS, STARTED, start_update, update_status
from flows.upkeep import purge_history
from missiondesk.desk import Desk
from missiondesk.exchanges.credentials import Credentials
from missiondesk.exchanges.sandbox.address import SANDBOX_KEY, SANDBOX_SECRET
from missiondesk.exchanges.sandbox.faults import Answer, Fault
from missiondesk.exchanges.sandbox.server import SandboxServer
from missiondesk.refresh.order import RefreshFailed, hour_of, work_seconds
from missiondesk.refresh.pace import PacedMarket
from missiondesk.refresh.steps import STEPS, Step
from missiondesk.settings import Settings
from missiondesk.store.market.ledger import Standing, begin_step, standing
from missiondesk.store.market.series import find_series
from models.account import Account
from models.errors import UnknownName
from tasks.market import calculate_step, fetch_symbol
from tests.integration.market_desk import market_desk
from tests.waiting import wait_for

START = datetime(2026, 11, 20, 0, 5, tzinfo=UTC)
SYMBOLS = ("BTC/USD", "ETH/BTC")


@pytest.fixture
def clock() -> SimpleNamespace:
    return SimpleNamespace(now=START)


@pytest.fixture
def sandbox(clock: SimpleNamespace) -> Iterator[SandboxServer]:
    with SandboxServer(clock=lambda: clock.now) as server:
        yield server


@pytest.fixture
def desk(
    database_url: str,
    prefect_api: str,
    sandbox: SandboxServer,
    short_home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Engine]:
    with market_desk(database_url, sandbox.url, short_home, SYMBOLS, monkeypatch) as engine:
        yield engine


@pytest.fixture
def work_pool(prefect_api: str) -> None:
    async def make() -> None:
        async with get_client() as client:
            with contextlib.suppress(ObjectAlreadyExists):
                await client.create_work_pool(WorkPoolCreate(name="desk", type="process"))

    asyncio.run(make())


@pytest.mark.prefect
def test_a_failed_step_stops_the_rest_and_says_so(desk: Engine, clock: SimpleNamespace, monkeypatch) -> None:
    monkeypatch.setenv("MISSIONDESK_EXCHANGE_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("tasks.market.fetch_symbol.retry_delay_seconds", 0)
    desk_of_this_process.cache_clear()
    with pytest.raises(RefreshFailed) as failed:
        update_all(clock.now)
    assert str(failed.value).startswith("ohlc failed: BTC/USD: ")
    assert "; not tried after that: ETH/BTC; not run" in str(failed.value)
    assert str(failed.value).endswith("; not run: indicators, ema_channel, market_regime, signals")
    with desk.connect() as connection:
        rows = connection.execute(text("SELECT step, status FROM refresh_step")).all()
    assert rows == [("ohlc", "failed")]


@pytest.mark.prefect
def test_a_started_update_is_run_by_the_deployment_and_answers_its_state(
    desk: Engine, clock: SimpleNamespace, work_pool: None, prefect_api: str, short_home: Path
) -> None:
    clock.now = datetime.now(UTC)
    sync(desk)
    started = start_update("ohlc")
    pending = update_status(started)
    assert (pending.status, pending.ready, pending.successful, pending.result) == (
        "PENDING",
        False,
        None,
        None,
    )
    subprocess.run(
        [sys.executable, "-m", "prefect", "flow-run", "execute", started],
        env={**os.environ, "PREFECT_API_URL": prefect_api},
        cwd=short_home,  # it copies the folder that it stands in
        check=True,
        capture_output=True,
        timeout=120,
    )
    done = update_status(started)
    assert (done.status, done.ready, done.successful, done.error) == ("SUCCESS", True, True, None)
    assert done.result is not None and done.result["ohlc"]["inserted"] > 1000
    with pytest.raises(UnknownName):
        update_status(str(uuid4()))
    with pytest.raises(UnknownName):
        update_status("no id")
    with pytest.raises(UnknownName, match="unknown task 'candles'; existing: all, ema, indicators"):
        start_update("candles")


@pytest.mark.prefect
def test_sync_pushes_the_six_deployments_and_their_queues(desk: Engine, work_pool: None) -> None:
    sync(desk)

    async def read() -> tuple[dict[str, tuple[str, str | None]], dict[str, int]]:
        async with get_client() as client:
            found = {}
            for spec in MARKET_FLOWS:
                deployed = await client.read_deployment_by_name(f"{spec.flow_name}/{spec.name}")
                cron = deployed.schedules[0].schedule.cron if deployed.schedules else None
                found[spec.flow_name] = (deployed.work_queue_name, cron)
            queues = await client.read_work_queues(work_pool_name="desk")
            return found, {queue.name: queue.priority for queue in queues}

    deployed, queues = asyncio.run(read())
    assert deployed == {
        "fetch_ohlc_data": ("ohlc", "5 * * * *"),
        "calculate_indicators": ("indicators", "10 * * * *"),
        "calculate_ema_channel": ("ema_channel", "15 * * * *"),
        "calculate_market_regime": ("market_regime", "20 * * * *"),
        "generate_trading_signals": ("signals", "25 * * * *"),
        "update_all": ("ohlc", None),
    }
    assert {name: queues[name] for name in QUEUES} == dict(QUEUES)
    assert queues["signals"] < queues["ohlc"]
    assert sync(desk).changes == ()


def test_what_may_be_asked_for_has_a_flow_and_an_answer() -> None:
    assert set(FLOWS) == set(STARTED)
    assert set(FLOWS.values()) == {spec.flow_name for spec in MARKET_FLOWS}


def test_every_flow_has_its_limit_and_no_process_is_killed_before() -> None:
    limits = {}
    for spec in MARKET_FLOWS:
        flow = load_flow_from_entrypoint(spec.entrypoint)
        limits[spec.flow_name] = flow.timeout_seconds
        assert spec.job_variables["timeout_seconds"] > flow.timeout_seconds
        assert flow.retries == 0  # its tasks are tried again, each on its own
    assert limits.pop("update_all") == 30 * 60
    assert all(5 * 60 <= limit <= 10 * 60 for limit in limits.values())
    assert sum(work_seconds(step) for step in STEPS) <= 30 * 60


def wait_until_tried(name: str, times: int) -> None:
    """Until Prefect has on record that the one task run of this name was tried so often."""
    named = TaskRunFilter(name=TaskRunFilterName(any_=[name]))
    with get_client(sync_client=True) as client:
        wait_for(lambda: [run.run_count for run in client.read_task_runs(task_run_filter=named)] == [times])


@pytest.mark.prefect
def test_connection_trouble_is_tried_again(
    desk: Engine, sandbox: SandboxServer, clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fetch_symbol.retries == calculate_step.retries == 3
    assert fetch_symbol.retry_delay_seconds == sorted(set(fetch_symbol.retry_delay_seconds))
    monkeypatch.setenv("MISSIONDESK_SYMBOLS", "SOL/USD")
    monkeypatch.setattr("tasks.market.fetch_symbol.retry_delay_seconds", 0)
    sandbox.sandbox.faults.add(Fault(endpoint="OHLC", answer=Answer.DROPPED, times=3))
    state = fetch_ohlc_data(clock.now, return_state=True)
    assert state.is_completed(), state.message
    assert state.result()["ohlc"]["inserted"] > 700
    wait_until_tried("fetch SOL/USD", 4)


def account_row(engine: Engine, name: str, credentials: str | None) -> None:
    with engine.connect() as connection:
        connection.execute(
            text("INSERT INTO account (name, exchange, credentials) VALUES (:name, 'sandbox', :credentials)"),
            {"name": name, "credentials": credentials},
        )


@pytest.mark.prefect
def test_the_account_of_the_settings_says_which_exchange_is_asked_and_with_which_keys(
    desk: Engine, clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, prefect_api: str
) -> None:
    monkeypatch.setenv("MISSIONDESK_EXCHANGE", "kraken")
    monkeypatch.setenv("MISSIONDESK_MARKET_ACCOUNT", "reader")
    monkeypatch.setenv("MISSIONDESK_SYMBOLS", "LTC/USD")
    desk_of_this_process.cache_clear()
    account_row(desk, "reader", "reader-keys")
    ExchangeAccount(key=SANDBOX_KEY, secret=SANDBOX_SECRET).save("reader-keys", overwrite=True)
    state = fetch_ohlc_data(clock.now, return_state=True)
    assert state.is_completed(), state.message
    found = find_series(desk)
    assert {each.exchange for each in found} == {"sandbox"}
    account = desk_of_this_process().accounts.get("reader")
    # Only a client that has the block's keys is shown balances.
    assert desk_of_this_process().market_of(account).balances()


@pytest.mark.prefect
def test_an_account_without_keys_is_asked_without_any(
    desk: Engine, clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MISSIONDESK_MARKET_ACCOUNT", "reader")
    account_row(desk, "reader", None)
    desk_of = desk_of_this_process()
    assert desk_of.market_of(desk_of.accounts.get("reader")) is desk_of.market("sandbox")
    monkeypatch.setenv("MISSIONDESK_MARKET_ACCOUNT", "nobody")
    state = fetch_ohlc_data(clock.now, return_state=True)
    assert state.message == "ohlc failed: unknown account 'nobody'; existing: paper, reader"


def test_requests_with_keys_keep_the_pace_of_those_without(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = Credentials(key=SecretStr(SANDBOX_KEY), secret=SecretStr(SANDBOX_SECRET))
    with_keys = Desk(Settings.load({"MISSIONDESK_DATABASE_URL": database_url}), lambda account: keys)
    account = Account(name="reader", exchange="kraken", credentials="reader-keys")
    market = with_keys.market_of(account)
    assert isinstance(market, PacedMarket) and isinstance(with_keys.market("kraken"), PacedMarket)
    assert market.name == with_keys.market("kraken").name


@pytest.mark.prefect
def test_what_would_fail_again_is_tried_once(
    desk: Engine, clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MISSIONDESK_SYMBOLS", "XRP/USD")
    monkeypatch.setenv("MISSIONDESK_MARKET_ACCOUNT", "reader")
    account_row(desk, "reader", "a-block-that-is-not-there")
    state = fetch_ohlc_data(clock.now, return_state=True)
    assert state.is_failed()
    assert "takes its keys from the block 'a-block-that-is-not-there', which does not exist" in state.message
    wait_until_tried("fetch XRP/USD", 1)


@pytest.mark.prefect
def test_a_step_that_takes_too_long_is_ended_inside_the_whole_refresh(
    desk: Engine, sandbox: SandboxServer, clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("missiondesk.refresh.order.work_seconds", lambda step: 3.0)
    monkeypatch.setattr("tasks.market.fetch_symbol.retry_delay_seconds", 60)
    sandbox.sandbox.faults.add(Fault(endpoint="OHLC", answer=Answer.DROPPED, times=None))
    with pytest.raises(RefreshFailed, match="ohlc failed: it took longer than 3 s; not run: indicators"):
        update_all(clock.now)
    assert standing(desk, Step.OHLC, hour_of(clock.now)) is Standing.FAILED


@pytest.mark.prefect
def test_old_rows_are_deleted_by_a_flow(desk: Engine) -> None:
    begin_step(desk, "long ago", "ohlc", datetime(2020, 1, 1, tzinfo=UTC))
    state = purge_history(return_state=True)
    assert (state.name, state.message) == ("Completed", "1 refresh steps, 0 timed items, 0 prices deleted")
