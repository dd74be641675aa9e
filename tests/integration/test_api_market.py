"""Market data over HTTP: what is stored, found by market, and refreshes asked for by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import State
from prefect.exceptions import ObjectAlreadyExists
from prefect.states import Cancelled, Completed, Crashed, Failed, Running
from sqlalchemy import Engine, text

from console.api.app import create_app
from deployments.sync import sync
from flows.desk import desk_of_this_process
from missiondesk.settings import Settings
from missiondesk.store.database import connect
from missiondesk.store.market.ledger import begin_step, end_step
from tests.integration.served_api import served

HOUR = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.fixture
def engine(database_url: str) -> Engine:
    return connect(database_url)


@pytest.fixture
def api(database_url: str) -> Iterator[httpx.Client]:
    with served(create_app(Settings.load({"MISSIONDESK_DATABASE_URL": database_url}))) as client:
        yield client


def run(engine: Engine, statement: str, **given: Any) -> Any:
    with engine.connect() as connection:
        found = connection.execute(text(statement), given)
        return found.scalar() if found.returns_rows else None


def add_series(engine: Engine, symbol: str, interval: str, hours: int = 3) -> int:
    """With a candle an hour, the newest at HOUR; indicators and channel for all but the first."""
    series = run(
        engine,
        "INSERT INTO series (exchange, symbol, interval) VALUES ('kraken', :symbol, :interval) RETURNING id",
        symbol=symbol,
        interval=interval,
    )
    for age in range(hours):
        at = {"series": series, "at": HOUR.replace(hour=HOUR.hour - age)}
        run(
            engine,
            "INSERT INTO candle VALUES (:series, :at, 1, 2, 0.5, :close, 10, 'exchange')",
            close=100.5 - age,
            **at,
        )
        if age < hours - 1:
            run(
                engine,
                "INSERT INTO indicator (series_id, open_time, sma_20) VALUES (:series, :at, 99.25)",
                **at,
            )
            run(
                engine,
                "INSERT INTO ema_channel VALUES (:series, :at, 101, 99, 2.02, 60, 1.5, 'neutral')",
                **at,
            )
            run(
                engine,
                "INSERT INTO market_regime VALUES (:series, :at, :regime, 19, 75)",
                regime="ranging" if interval == "1h" else "trending",
                **at,
            )
    return int(series)


def add_signal(engine: Engine, series: int, hour: int, action: str = "buy", **columns: Any) -> int:
    values = {
        "series_id": series,
        "open_time": HOUR.replace(hour=hour),
        "strategy": "trend_follow",
        "action": action,
        "size": "none" if action == "hold" else "full",
        "confidence": 70,
        "entry": 100.5,
        "status": "active",
        "reasons": '["close above the channel"]',
        "breakdown": '[{"reason": "base", "points": 50}]',
        **columns,
    }
    names, places = ", ".join(values), ", ".join(f":{name}" for name in values)
    statement = f"INSERT INTO trading_signal ({names}) VALUES ({places}) RETURNING id"  # noqa: S608
    return int(run(engine, statement, **values))


def test_candles_come_with_what_is_calculated_of_them(api: httpx.Client, engine: Engine) -> None:
    add_series(engine, "BTC/USD", "1h")
    add_series(engine, "ETH/USD", "1h")
    both = api.get("/api/market-data").json()
    assert [(each["symbol"], each["close"]) for each in both] == [("BTC/USD", 100.5), ("ETH/USD", 100.5)]
    of_one = api.get("/api/market-data", params={"symbol": "BTC/USD", "interval": "1h", "limit": 9}).json()
    assert [each["close"] for each in of_one] == [100.5, 99.5, 98.5]
    assert of_one[0]["open_time"] == "2026-01-05T12:00:00Z"
    assert [each["sma_20"] for each in of_one] == [99.25, 99.25, None]
    assert [each["channel_direction"] for each in of_one] == ["neutral", "neutral", None]
    assert api.get("/api/market-data", params={"symbol": "XMR/USD"}).json() == []


def test_more_candles_than_fit_an_answer_are_refused(api: httpx.Client, engine: Engine) -> None:
    add_series(engine, "BTC/USD", "1h")
    add_series(engine, "ETH/USD", "1h")
    answer = api.get("/api/market-data", params={"limit": 10_000})
    assert answer.status_code == 409
    assert "got 10000 of each of 2 series" in answer.json()["message"]


def test_gaps_are_listed_newest_first_with_why_they_stay(api: httpx.Client, engine: Engine) -> None:
    btc, eth = add_series(engine, "BTC/USD", "1h"), add_series(engine, "ETH/USD", "1h")
    for series, hour, status in ((btc, 3, "untraded"), (btc, 5, "new"), (eth, 4, "out of reach")):
        run(
            engine,
            "INSERT INTO candle_gap (series_id, first_open_time, last_open_time, status)"
            " VALUES (:series, :at, :at, :status)",
            series=series,
            at=HOUR.replace(hour=hour),
            status=status,
        )
    listed = api.get("/api/market-gaps").json()
    assert [each["status"] for each in listed] == ["new", "out of reach", "untraded"]
    assert listed[1] == {
        "exchange": "kraken",
        "symbol": "ETH/USD",
        "interval": "1h",
        "first_open_time": "2026-01-05T04:00:00Z",
        "last_open_time": "2026-01-05T04:00:00Z",
        "status": "out of reach",
        "looked_at": None,
    }
    of_one = api.get("/api/market-gaps", params={"symbol": "BTC/USD", "limit": 1}).json()
    assert [each["status"] for each in of_one] == ["new"]
    untraded = api.get("/api/market-gaps", params={"status": "untraded"}).json()
    assert [each["first_open_time"] for each in untraded] == ["2026-01-05T03:00:00Z"]
    assert api.get("/api/market-gaps", params={"status": "lost"}).status_code == 422


def test_a_regime_comes_with_that_of_the_higher_timeframe(api: httpx.Client, engine: Engine) -> None:
    add_series(engine, "BTC/USD", "1h")
    add_series(engine, "BTC/USD", "4h")
    (hourly,) = api.get("/api/market-regime", params={"interval": "1h"}).json()
    assert (hourly["regime"], hourly["adx"], hourly["direction"]) == ("ranging", 19.0, "neutral")
    assert (hourly["higher"]["interval"], hourly["higher"]["regime"]) == ("4h", "trending")
    found = {each["interval"]: each["higher"] for each in api.get("/api/market-regime").json()}
    assert found["4h"] is None and found["1h"] is not None


def test_signals_are_filtered_and_paged_newest_first(api: httpx.Client, engine: Engine) -> None:
    btc, eth = add_series(engine, "BTC/USD", "1h"), add_series(engine, "ETH/USD", "1h")
    newest = add_signal(engine, btc, 11)
    oldest = add_signal(engine, btc, 9, status="closed", pnl_percent=1.5, exit_price=102)
    between = add_signal(engine, eth, 10, action="hold", confidence=0)

    def ids(**asked: Any) -> list[int]:
        return [each["id"] for each in api.get("/api/trading-signals", params=asked).json()]

    assert ids() == [newest, between, oldest]
    assert ids(limit=2) == [newest, between]
    assert ids(before=between) == [oldest]
    assert ids(symbol="ETH/USD") == ids(action="hold") == [between]
    assert ids(status="closed") == [oldest]
    assert ids(min_confidence=50) == [newest, oldest]
    assert ids(strategy="mean_reversion") == ids(interval="4h") == []
    assert api.get("/api/trading-signals", params={"action": "panic"}).status_code == 422
    one = api.get(f"/api/trading-signals/{oldest}").json()
    assert (one["symbol"], one["pnl_percent"], one["status"]) == ("BTC/USD", 1.5, "closed")
    assert one["breakdown"] == [{"reason": "base", "points": 50}]
    missing = api.get("/api/trading-signals/4711")
    assert missing.status_code == 404 and str(newest) in missing.json()["existing"]


@pytest.mark.parametrize("path", ["market-data", "market-regime", "trading-signals"])
def test_a_slash_at_the_end_changes_nothing(api: httpx.Client, engine: Engine, path: str) -> None:
    add_signal(engine, add_series(engine, "BTC/USD", "1h"), 11)
    plain = api.get(f"/api/{path}")
    assert plain.status_code == 200 and plain.json()
    assert api.get(f"/api/{path}/", follow_redirects=True).json() == plain.json()


@pytest.fixture
def desk_api(
    engine: Engine, database_url: str, prefect_api: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[httpx.Client]:
    """The API where the process's flows use the test's database, and Prefect has the desk's deployments."""

    async def make_pool() -> None:
        async with get_client() as client:
            with suppress(ObjectAlreadyExists):
                await client.create_work_pool(WorkPoolCreate(name="desk", type="process"))

    asyncio.run(make_pool())
    monkeypatch.setenv("MISSIONDESK_DATABASE_URL", database_url)
    desk_of_this_process.cache_clear()
    sync(engine)
    with served(create_app(Settings.load())) as client:
        yield client
    desk_of_this_process.cache_clear()


def set_state(task_id: str, state: State[Any]) -> None:
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(UUID(task_id), state, force=True)


def status(api: httpx.Client, task_id: str) -> dict[str, Any]:
    answer = api.get("/api/manual-update/", params={"task_id": task_id})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.mark.prefect
@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("all", "Full data update started (all tasks)"),
        ("ohlc", "OHLC data fetch started"),
        ("indicators", "Indicator calculations started"),
        ("ema", "EMA channel calculations started"),
        ("regime", "Market regime calculations started"),
        ("signals", "Trading signal generation started"),
    ],
)
def test_an_update_is_started_and_waits_for_the_worker(
    desk_api: httpx.Client, task: str, message: str
) -> None:
    answer = desk_api.post("/api/manual-update/", params={"task": task})
    assert answer.status_code == 200, answer.text
    started = answer.json()
    task_id = started.pop("task_id")
    assert started == {"status": "success", "message": message, "task_type": task}
    assert status(desk_api, task_id) == {
        "task_id": task_id,
        "status": "PENDING",
        "ready": False,
        "successful": None,
        "result": None,
        "error": None,
    }


@pytest.mark.prefect
def test_an_update_is_asked_about_until_it_is_ready(desk_api: httpx.Client, engine: Engine) -> None:
    task_id = desk_api.post("/api/manual-update/").json()["task_id"]
    set_state(task_id, Running())
    running = status(desk_api, task_id)
    assert (running["status"], running["ready"], running["result"]) == ("STARTED", False, None)
    begin_step(engine, task_id, "ohlc", HOUR)
    end_step(engine, task_id, "ohlc", report={"inserted": 4})
    set_state(task_id, Completed())
    assert status(desk_api, task_id) == {
        "task_id": task_id,
        "status": "SUCCESS",
        "ready": True,
        "successful": True,
        "result": {"ohlc": {"inserted": 4}},
        "error": None,
    }


@pytest.mark.prefect
def test_a_failed_update_says_why(desk_api: httpx.Client) -> None:
    task_id = desk_api.post("/api/manual-update/", params={"task": "ohlc"}).json()["task_id"]
    set_state(task_id, Failed(message="ohlc failed: no network"))
    found = status(desk_api, task_id)
    assert (found["status"], found["ready"], found["successful"]) == ("FAILURE", True, False)
    assert found["error"] == "ohlc failed: no network"


@pytest.mark.prefect
def test_an_update_that_stopped_at_a_step_shows_what_each_step_came_to(
    desk_api: httpx.Client, engine: Engine
) -> None:
    task_id = desk_api.post("/api/manual-update/", params={"task": "all"}).json()["task_id"]
    begin_step(engine, task_id, "ohlc", HOUR)
    end_step(engine, task_id, "ohlc", report={"inserted": 4})
    begin_step(engine, task_id, "indicators", HOUR)
    end_step(engine, task_id, "indicators", error="no memory")
    said = "indicators failed: no memory; not run: ema_channel, market_regime, signals"
    set_state(task_id, Failed(message=said))
    assert status(desk_api, task_id) == {
        "task_id": task_id,
        "status": "FAILURE",
        "ready": True,
        "successful": False,
        "result": {"ohlc": {"inserted": 4}, "indicators": {"error": "no memory"}},
        "error": said,
    }


@pytest.mark.prefect
@pytest.mark.parametrize("ending", [Crashed, Cancelled])
def test_an_update_whose_process_died_has_failed(
    desk_api: httpx.Client, engine: Engine, ending: Callable[..., State[Any]]
) -> None:
    task_id = desk_api.post("/api/manual-update/", params={"task": "ohlc"}).json()["task_id"]
    begin_step(engine, task_id, "ohlc", HOUR)
    set_state(task_id, ending(message="It did not end by itself: killed by signal 9"))
    found = status(desk_api, task_id)
    assert (found["status"], found["ready"], found["successful"]) == ("FAILURE", True, False)
    assert found["error"] == "It did not end by itself: killed by signal 9"
    assert found["result"] == {"ohlc": {"error": "it was cut off"}}


@pytest.mark.prefect
def test_an_unknown_update_is_no_update(desk_api: httpx.Client) -> None:
    for unknown in ("everything", "", "ALL", "ü", "ohlc,ema", "x" * 5000):
        answer = desk_api.post("/api/manual-update/", params={"task": unknown})
        assert answer.status_code == 400, unknown
        assert answer.json()["status"] == "error"
        assert answer.json()["valid_tasks"] == ["all", "ohlc", "indicators", "ema", "regime", "signals"]
    for missing in ({}, {"task_id": ""}):
        assert desk_api.get("/api/manual-update/", params=missing).status_code == 400
    for unknown in (str(uuid4()), "7", "ü"):
        assert desk_api.get("/api/manual-update/", params={"task_id": unknown}).status_code == 404


def test_without_a_desk_no_update_is_started(api: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    answer = api.post("/api/manual-update/")
    assert answer.status_code == 503
    assert "missiondesk up" in answer.json()["message"]
