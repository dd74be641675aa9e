"""schemathesis reads the OpenAPI document and sends what it allows, and what it does not: nothing breaks."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import ObjectAlreadyExists

from console.api import runs
from console.api.app import create_app
from deployments.sync import sync
from flows.desk import desk_of_this_process
from missiondesk.settings import Settings
from missiondesk.store.database import connect
from tests.integration.served_api import served

pytestmark = pytest.mark.prefect

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "unsupported_method",
    "allow_header_conformance",
)
EXAMPLES = 12
LONGEST_SECONDS = 280


@pytest.fixture
def api(database_url: str, prefect_api: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    """With a Mission and a Task of id 1, of which the former stands in Prefect; new ones never get there."""

    async def make_pool() -> None:
        async with get_client() as client:
            with suppress(ObjectAlreadyExists):
                await client.create_work_pool(WorkPoolCreate(name="desk", type="process"))

    asyncio.run(make_pool())
    monkeypatch.setenv("MISSIONDESK_DATABASE_URL", database_url)
    monkeypatch.setattr(runs, "DEPLOYED_WITHIN_SECONDS", 0.05)
    desk_of_this_process.cache_clear()
    with served(create_app(Settings.load())) as client:
        looks = {"name": "looks", "template": "condition_is", "params": {"condition": "always_true"}}
        assert client.post("/api/tasks", json=looks).json()["id"] == 1
        assert client.post("/api/missions", json={"name": "fuzzed", "task_ids": [1]}).json()["id"] == 1
        sync(connect(database_url))
        yield client
    desk_of_this_process.cache_clear()


def test_no_request_breaks_the_api(api: httpx.Client, tmp_path: Path) -> None:
    command = [
        Path(sys.executable).with_name("schemathesis"),
        "run",
        f"{api.base_url}/openapi.json",
        f"--checks={','.join(CHECKS)}",
        f"--max-examples={EXAMPLES}",
        "--seed=20260105",
        "--continue-on-failure",
        "--no-color",
    ]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=LONGEST_SECONDS, check=False
    )
    assert done.returncode == 0, f"{done.stdout[-8000:]}\n{done.stderr[-2000:]}"
    assert api.get("/health").status_code == 200
