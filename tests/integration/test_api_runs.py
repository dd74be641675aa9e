"""Runs asked for over HTTP: they stand in a real Prefect, ready for the worker."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import suppress
from contextvars import copy_context
from uuid import UUID, uuid4

import httpx
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import ObjectAlreadyExists
from sqlalchemy import Engine

from console.api import runs
from console.api.app import create_app
from deployments.sync import sync
from missiondesk.settings import Settings
from missiondesk.store.database import connect
from tests.integration.served_api import served

pytestmark = pytest.mark.prefect


@pytest.fixture
def engine(database_url: str, prefect_api: str) -> Engine:
    async def make_pool() -> None:
        async with get_client() as client:
            with suppress(ObjectAlreadyExists):
                await client.create_work_pool(WorkPoolCreate(name="desk", type="process"))

    asyncio.run(make_pool())
    return connect(database_url)


@pytest.fixture
def api(database_url: str, engine: Engine) -> Iterator[httpx.Client]:
    with served(create_app(Settings.load({"MISSIONDESK_DATABASE_URL": database_url}))) as client:
        yield client


@pytest.fixture
def mission(api: httpx.Client) -> str:
    """A Mission that is in no Prefect yet, under a name of its own: the server is shared by all tests."""
    name = f"dip {uuid4().hex[:8]}"
    looks = {"name": "looks", "template": "condition_is", "params": {"condition": "always_true"}}
    task = api.post("/api/tasks", json=looks).json()["id"]
    assert api.post("/api/missions", json={"name": name, "task_ids": [task]}).status_code == 201
    return name


def test_a_run_stands_in_prefect_as_an_ad_hoc_tick(
    api: httpx.Client, engine: Engine, mission: str, prefect_api: str
) -> None:
    sync(engine)
    by_name = api.post(f"/api/missions/{mission}/run")
    by_id = api.post(f"/api/missions/{api.get(f'/api/missions/{mission}').json()['id']}/run")
    assert by_name.status_code == by_id.status_code == 202
    assert by_name.json()["mission"] == mission
    assert by_name.json()["flow_run_id"] != by_id.json()["flow_run_id"]
    assert by_name.json()["flow_run_url"].endswith(f"/runs/flow-run/{by_name.json()['flow_run_id']}")
    with get_client(sync_client=True) as client:
        flow_run = client.read_flow_run(UUID(by_name.json()["flow_run_id"]))
    assert flow_run.parameters == {"mission": mission}
    assert flow_run.state is not None and flow_run.state.is_scheduled()
    assert not flow_run.auto_scheduled and not flow_run.idempotency_key


def test_a_run_of_a_new_mission_waits_for_its_deployment(
    api: httpx.Client, engine: Engine, mission: str
) -> None:
    listener = threading.Timer(0.5, copy_context().run, (sync, engine))
    listener.start()
    assert api.post(f"/api/missions/{mission}/run").status_code == 202
    listener.join()


def test_a_mission_without_a_deployment_is_said_so(
    api: httpx.Client, mission: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "DEPLOYED_WITHIN_SECONDS", 0.2)
    answer = api.post(f"/api/missions/{mission}/run")
    assert answer.status_code == 409
    assert "missiondesk sync" in answer.json()["message"]


def test_a_deployment_that_someone_deleted_in_prefect_is_said_so(
    api: httpx.Client, engine: Engine, mission: str
) -> None:
    sync(engine)
    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name(f"{mission}/mission")
        client.delete_deployment(deployment.id)
    answer = api.post(f"/api/missions/{mission}/run")
    assert answer.status_code == 409
    assert "missiondesk sync" in answer.json()["message"]


def test_without_a_desk_no_run_is_asked_for(
    api: httpx.Client, mission: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PREFECT_API_URL")
    answer = api.post(f"/api/missions/{mission}/run")
    assert answer.status_code == 503
    assert "missiondesk up" in answer.json()["message"]
