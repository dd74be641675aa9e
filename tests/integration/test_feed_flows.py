"""Feeds and watches as deployments: what is pushed, what a worker runs of them, and how they end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.states import Cancelling
from sqlalchemy import Engine

from deployments.feeds import QUEUES, feed_flows
from deployments.prefork.worker import PreforkWorker
from deployments.queues import keep_queues
from missiondesk.exchanges.sandbox.server import SandboxServer
from missiondesk.settings import Settings
from missiondesk.store.database import connect
from missiondesk.store.feed_figures import FeedFiguresStore
from missiondesk.store.quotes import Quotes
from models.errors import InvalidSetting
from tests.integration.prefork_worker import Pool, RunningWorker
from tests.waiting import wait_for

MARKET = "sandbox:BTC/USD"
StartWorker = Callable[[], RunningWorker]


def test_a_feed_is_scheduled_only_where_markets_are_set() -> None:
    feed, watch = feed_flows([MARKET])
    assert [schedule.cron for schedule in feed.schedules] == ["0 * * * *"]
    assert watch.schedules == ()
    assert all(spec.schedules == () for spec in feed_flows([]))
    assert {feed.work_queue, watch.work_queue} == set(QUEUES)


def test_the_markets_of_the_setting_are_checked_by_their_form() -> None:
    named = Settings.load({"MISSIONDESK_FEED_MARKETS": f" {MARKET}, okex_future_btcusd_quarter"})
    assert named.feed_markets == (MARKET, "okex_future_btcusd_quarter")
    assert Settings.load({}).feed_markets == ()
    with pytest.raises(InvalidSetting, match=r"MISSIONDESK_FEED_MARKETS: .*got 'bitcoin'"):
        Settings.load({"MISSIONDESK_FEED_MARKETS": f"{MARKET},bitcoin"})


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer() as server:
        yield server


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = connect(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def pool(prefect_api: str) -> Iterator[Pool]:
    name = f"feeds-{uuid4().hex}"
    with get_client(sync_client=True) as client:
        template = PreforkWorker.get_default_base_job_template()
        made = WorkPoolCreate(name=name, type="prefork", base_job_template=template)
        client.request("POST", "/work_pools/", json=made.model_dump(mode="json"))
        yield Pool(client, name)


@pytest.fixture
def start_worker(
    pool: Pool, prefect_api: str, short_home: Path, database_url: str, sandbox: SandboxServer
) -> Iterator[StartWorker]:
    workers: list[RunningWorker] = []

    def start() -> RunningWorker:
        worker = RunningWorker(
            pool.name,
            short_home,
            prefect_api,
            MISSIONDESK_WORKER_CHILDREN="1",
            MISSIONDESK_DATABASE_URL=database_url,
            MISSIONDESK_EXCHANGE_URL=sandbox.url,
            MISSIONDESK_FEED_MARKETS=MARKET,
            MISSIONDESK_PRELOAD="flows.feeds,tests.integration.prefork_flows",
        )
        workers.append(worker)
        return worker

    yield start
    for worker in workers:
        worker.end()


def sockets(sandbox: SandboxServer) -> int:
    return len(sandbox.sandbox.sockets.open)


@pytest.mark.prefect
def test_a_feed_streams_beside_ticks_until_it_is_cancelled(
    pool: Pool, start_worker: StartWorker, sandbox: SandboxServer, engine: Engine, short_home: Path
) -> None:
    start_worker()
    feed = pool.order(deploy(pool, "feed"), until_later())
    wait_for(lambda: FeedFiguresStore(engine).read())
    assert sockets(sandbox) == 1
    # The worker has one child for ticks all the same.
    (short_home / "go").touch()
    tick = pool.order(pool.deploy("wait_for_file"), {"folder": str(short_home)})
    assert pool.wait_until_over(tick).is_completed()
    assert pool.state(feed).is_running()
    pool.client.set_flow_run_state(feed, Cancelling())
    assert pool.wait_until_over(feed).is_cancelled()
    wait_for(lambda: sockets(sandbox) == 0)
    begin, end = datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC)
    kept = list(Quotes(engine).between([("sandbox", "BTC/USD")], begin, end))
    ((figures, _),) = FeedFiguresStore(engine).read()
    assert len(kept) == figures.stored == figures.quotes > 0
    assert httpx.get(f"{sandbox.url}/0/public/Time").status_code == 200


@pytest.mark.prefect
def test_watches_and_feeds_end_as_they_should_and_a_stopped_worker_waits_for_no_feed(
    pool: Pool, start_worker: StartWorker, sandbox: SandboxServer
) -> None:
    worker = start_worker()
    watch = pool.order(deploy(pool, "watch"), {"markets": [MARKET], "seconds": 3})
    past = pool.order(deploy(pool, "feed"), due=datetime.now(UTC) - timedelta(hours=2))
    unknown = pool.order(deploy(pool, "watch"), {"markets": ["sandbox:NO/USD"]})
    too_long = pool.order(deploy(pool, "watch"), {"seconds": 3600})
    seen = pool.wait_until_over(watch)
    assert seen.is_completed() and "changes of the best prices" in str(seen.message)
    skipped = pool.wait_until_over(past)
    assert (skipped.name, skipped.type.value) == ("Skipped", "COMPLETED")
    refused = pool.wait_until_over(unknown)
    assert refused.is_failed() and "NO/USD" in str(refused.message)
    assert pool.wait_until_over(too_long).is_failed()
    artifact = asyncio.run(newest_artifact(str(watch)))
    assert MARKET in artifact
    assert sockets(sandbox) == 0

    feed = pool.order(deploy(pool, "feed"), until_later())
    wait_for(lambda: sockets(sandbox) == 1)
    stopped_at = time.monotonic()
    assert worker.stop() == 0
    assert time.monotonic() - stopped_at < 45, "its grace period is 60 s"
    assert pool.state(feed).is_cancelled()
    assert sockets(sandbox) == 0


async def newest_artifact(flow_run_id: str) -> str:
    async with get_client() as client:
        body = {"artifacts": {"flow_run_id": {"any_": [flow_run_id]}}}
        found = (await client._client.post("/artifacts/filter", json=body)).json()
    return str(found[0]["data"])


@pytest.mark.prefect
def test_its_queues_hold_one_run_at_a_time(pool: Pool) -> None:
    async def keep() -> dict[str, int | None]:
        async with get_client() as client:
            for limits in ({}, dict.fromkeys(QUEUES, 1), dict.fromkeys(QUEUES, 1)):
                await keep_queues(client, pool.name, QUEUES, limits)
            queues = await client.read_work_queues(work_pool_name=pool.name)
        return {queue.name: queue.concurrency_limit for queue in queues if queue.name in QUEUES}

    assert asyncio.run(keep()) == dict.fromkeys(QUEUES, 1)


def until_later() -> dict[str, str]:
    """So that no hour ends during the test."""
    return {"until": (datetime.now(UTC) + timedelta(hours=1)).isoformat()}


def deploy(pool: Pool, flow: str) -> UUID:
    (spec,) = (spec for spec in feed_flows([MARKET]) if spec.flow_name == flow)
    return pool.deploy(flow, entrypoint=spec.entrypoint, job_variables=spec.job_variables)
