"""What has to be there before the worker comes: work pools, block types, demo Missions, deployments.

A program of its own (`python -m console.desk.setup`), so that what watches the desk need not import Prefect.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import anyio
import click
from prefect.blocks.core import Block
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.exceptions import ObjectNotFound
from prefect.workers.base import BaseWorker
from prefect.workers.process import ProcessWorker
from sqlalchemy import Engine

from blocks.channels import CHANNEL_BLOCKS
from blocks.database import Database
from blocks.exchange_account import ExchangeAccount
from deployments.feeds import FEED_DEPLOYMENT
from deployments.missed import plan_missed
from deployments.missions import DEPLOYMENT_NAME, WORK_POOL
from deployments.prefork.worker import PreforkWorker
from deployments.sync import sync
from flows.market_runs import start_update
from missiondesk.demo import FIRST_TO_RUN, write_demo_missions
from missiondesk.desk_file import read_desk_file
from missiondesk.exchanges.open import open_exchange
from missiondesk.refresh.order import hour_of
from missiondesk.settings import ExchangeChoice, Settings
from missiondesk.store.database import connect
from missiondesk.store.market.ledger import Standing, standing
from missiondesk.templates.validation import check_task
from models.errors import InvalidSetting, MissiondeskError, RetryLater

# Its runs start a process each; it is there to compare the worker of the desk with.
PROCESS_WORK_POOL = "process"

BLOCKS: tuple[type[Block], ...] = (Database, ExchangeAccount, *CHANNEL_BLOCKS)


async def _set_up_prefect() -> None:
    async with get_client() as client:
        await _keep_work_pool(client, WORK_POOL, PreforkWorker)
        await _keep_work_pool(client, PROCESS_WORK_POOL, ProcessWorker)
        for block in BLOCKS:
            await block.register_type_and_schema(client=client)


async def _keep_work_pool(client: PrefectClient, name: str, worker: type[BaseWorker[Any, Any, Any]]) -> None:
    template = worker.get_default_base_job_template()
    try:
        present = await client.read_work_pool(name)
    except ObjectNotFound:
        await client.create_work_pool(WorkPoolCreate(name=name, type=worker.type, base_job_template=template))
        return
    if present.type != worker.type:
        raise InvalidSetting(
            f"Prefect's work pool {name!r}: expected type {worker.type}, got {present.type}; delete it with "
            f"`prefect work-pool delete {name}`, and the desk makes a new one"
        )
    if present.base_job_template != template:
        await client.update_work_pool(name, WorkPoolUpdate(base_job_template=template))


def _write_demo_missions(engine: Engine, settings: Settings) -> Sequence[str]:
    try:
        market = open_exchange(settings.exchange or ExchangeChoice.KRAKEN, settings)
        written = write_demo_missions(engine, market, check_task)
    except RetryLater as error:
        click.echo(f"no demo Missions this time: {error}")
        return ()
    if written:
        click.echo(f"wrote the demo Missions {', '.join(written)}")
    return written


async def _start(name: str) -> None:
    async with get_client() as client:
        deployment = await client.read_deployment_by_name(name)
        await client.create_flow_run_from_deployment(deployment.id)


def _refresh_market_data(engine: Engine) -> None:
    """Bring market data up to date, unless this hour's refresh has begun: its later steps wait for it.

    One that was cut off waits for nobody.
    """
    if standing(engine, "ohlc", hour_of(datetime.now(UTC))) in (Standing.ABSENT, Standing.CUT_OFF):
        start_update("all")


def main() -> None:
    try:
        settings = Settings.load()
        engine = connect(settings.database_url.get_secret_value())
        anyio.run(_set_up_prefect)
        demo = _write_demo_missions(engine, settings)
        click.echo(str(sync(engine)))
        if desk := read_desk_file(settings.home):
            anyio.run(partial(plan_missed, engine, down_until=desk.started_at, now=datetime.now(UTC)))
        if FIRST_TO_RUN in demo:
            anyio.run(_start, f"{FIRST_TO_RUN}/{DEPLOYMENT_NAME}")
        _refresh_market_data(engine)
        if settings.feed_markets:
            anyio.run(_start, FEED_DEPLOYMENT)
    except MissiondeskError as error:
        click.echo(str(error), err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
