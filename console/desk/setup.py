"""What has to be in Prefect before the worker comes: work pools, block types, deployments.

A program of its own (`python -m console.desk.setup`), so that what watches the desk need not import Prefect.
"""

from __future__ import annotations

import sys
from typing import Any

import anyio
import click
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.exceptions import ObjectNotFound
from prefect.workers.base import BaseWorker
from prefect.workers.process import ProcessWorker

from blocks.database import Database
from blocks.exchange_account import ExchangeAccount
from deployments.missions import WORK_POOL
from deployments.prefork.worker import PreforkWorker
from deployments.sync import sync
from missiondesk.settings import Settings
from missiondesk.store.database import connect
from models.errors import InvalidSetting, MissiondeskError

PROCESS_WORK_POOL = "process"


async def _set_up_prefect() -> None:
    async with get_client() as client:
        await _keep_work_pool(client, WORK_POOL, PreforkWorker)
        await _keep_work_pool(client, PROCESS_WORK_POOL, ProcessWorker)
        for block in (Database, ExchangeAccount):
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


def main() -> None:
    try:
        settings = Settings.load()
        anyio.run(_set_up_prefect)
        click.echo(str(sync(connect(settings.database_url.get_secret_value()))))
    except MissiondeskError as error:
        click.echo(str(error), err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
