"""Flows of the user's own: a row makes the desk deploy and schedule them."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from sqlalchemy import Engine, text

from deployments.listener import ScheduleListener
from deployments.sync import sync
from missiondesk.store.database import connect
from tests.waiting import wait_for

pytestmark = pytest.mark.prefect

CODE = """
from prefect import flow


@flow
def count(least: int, name: str = "all") -> int:
    return least
"""


@pytest.fixture
def engine(database_url: str, prefect_api: str) -> Iterator[Engine]:
    async def make_pool() -> None:
        async with get_client() as client:
            with suppress(ObjectAlreadyExists):
                await client.create_work_pool(WorkPoolCreate(name="desk", type="process"))

    asyncio.run(make_pool())
    engine = connect(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def entrypoint(tmp_path: Path) -> str:
    module = tmp_path / f"flows_{uuid4().hex}.py"
    module.write_text(CODE)
    return f"{module}:count"


@pytest.fixture
def named() -> str:
    """A name of one's own: the server is shared by all tests."""
    return uuid4().hex[:8]


def run(engine: Engine, statement: str, **given: Any) -> None:
    with engine.connect() as connection:
        connection.execute(text(statement), given)


def add_flow(engine: Engine, name: str, **columns: Any) -> None:
    names, places = ", ".join(columns), ", ".join(f":{column}" for column in columns)
    statement = f"INSERT INTO scheduled_flow (name, {names}) VALUES (:name, {places})"  # noqa: S608
    run(engine, statement, name=name, **columns)


def deployment_of(name: str) -> DeploymentResponse | None:
    with get_client(sync_client=True) as client, suppress(ObjectNotFound):
        return client.read_deployment_by_name(f"{name}/own")
    return None


def test_a_row_becomes_a_deployment_with_its_cron_and_queue(
    engine: Engine, named: str, entrypoint: str
) -> None:
    add_flow(
        engine,
        named,
        entrypoint=entrypoint,
        parameters=json.dumps({"least": 3}),
        crontab=json.dumps(["30 6 * * *", {"minute": 0}]),
        timezone="Europe/Berlin",
        queue="signals",
        timeout_seconds=90,
    )
    sync(engine)
    deployed = deployment_of(named)
    assert deployed is not None
    assert (deployed.entrypoint, deployed.parameters) == (entrypoint, {"least": 3})
    assert (deployed.work_pool_name, deployed.work_queue_name) == ("desk", "signals")
    assert deployed.job_variables == {"timeout_seconds": 90}
    crons = {
        each.slug: (each.schedule.cron, each.schedule.timezone, each.active) for each in deployed.schedules
    }
    assert crons == {
        "cron-1": ("30 6 * * *", "Europe/Berlin", True),
        "cron-2": ("0 * * * *", "Europe/Berlin", True),
    }
    assert sync(engine).changes == ()
    run(engine, "UPDATE scheduled_flow SET enabled = false, crontab = '\"@daily\"'")
    sync(engine)
    changed = deployment_of(named)
    assert changed is not None and changed.id == deployed.id
    assert [(each.schedule.cron, each.active) for each in changed.schedules] == [("@daily", False)]
    run(engine, "DELETE FROM scheduled_flow")
    sync(engine)
    assert deployment_of(named) is None


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"entrypoint": "no_such_package.flows.count"}, "entrypoint: expected a flow that can be imported"),
        ({"entrypoint": "json.dumps"}, "entrypoint: expected a flow that can be imported"),
        ({"parameters": '{"most": 3}'}, "parameters: expected what"),
        ({"parameters": '{"least": "few"}'}, "parameters: expected what"),
        ({"crontab": '"61 * * * *"'}, "crontab: expected a valid cron line"),
        ({"timezone": "Mars"}, "timezone: expected the name of a time zone"),
        ({"queue": "a/b"}, "queue: expected 1 to 200 characters"),
    ],
)
def test_a_row_that_is_not_valid_is_named_and_keeps_what_is_deployed(
    engine: Engine, named: str, entrypoint: str, columns: dict[str, Any], problem: str
) -> None:
    add_flow(engine, named, entrypoint=entrypoint, parameters='{"least": 3}')
    sync(engine)
    before = deployment_of(named)
    changes = ", ".join(f"{name} = :{name}" for name in columns)
    run(engine, f"UPDATE scheduled_flow SET {changes}", **columns)  # noqa: S608
    synced = sync(engine)
    assert f"! left as it is: scheduled_flow '{named}' is not valid: {problem}" in str(synced)
    assert deployment_of(named) == before


def test_the_listener_follows_the_rows(
    engine: Engine, database_url: str, named: str, entrypoint: str
) -> None:
    stop = threading.Event()
    follow = partial(ScheduleListener(engine, database_url).run, stop)
    listener = threading.Thread(target=copy_context().run, args=(follow,))
    listener.start()
    try:
        add_flow(engine, named, entrypoint=entrypoint, parameters='{"least": 3}')
        wait_for(lambda: deployment_of(named) is not None)
        run(engine, "UPDATE scheduled_flow SET crontab = '\"0 6 * * *\"'")
        wait_for(lambda: (found := deployment_of(named)) is not None and found.schedules)
        run(engine, "DELETE FROM scheduled_flow")
        wait_for(lambda: deployment_of(named) is None)
    finally:
        stop.set()
        listener.join(30)
