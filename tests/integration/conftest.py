"""A real Prefect server for the tests of this folder, on the tests' own PostgreSQL server."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from console.desk.environment import asyncpg_url, for_parts, for_prefect_server
from missiondesk.settings import Settings
from missiondesk.store.embedded import EmbeddedPostgres
from tests.ports import free_port

SERVER_STARTS_WITHIN_SECONDS = 90


@pytest.fixture(scope="session")
def prefect_server(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The API address of a Prefect server with the desk's own settings; one for the whole test process."""
    settings = Settings.load(
        {
            "MISSIONDESK_HOME": str(tmp_path_factory.mktemp("prefect")),
            "MISSIONDESK_DATABASE_URL": postgres.url("postgres"),
        }
    )
    postgres.create_database("prefect")
    port = free_port()
    api = f"http://127.0.0.1:{port}/api"
    database = asyncpg_url(postgres.url("postgres"), "prefect")
    environment = for_parts(settings, api, for_prefect_server(settings, database))
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (settings.home / "server.log").open("w") as log:
        server = subprocess.Popen(
            command, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        _wait_until_healthy(api, server, settings)
        yield api
    finally:
        server.terminate()
        server.wait(timeout=30)


def _wait_until_healthy(api: str, server: subprocess.Popen[bytes], settings: Settings) -> None:
    deadline = time.monotonic() + SERVER_STARTS_WITHIN_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if httpx.get(f"{api}/health", timeout=2).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
    log = (settings.home / "server.log").read_text()[-3000:]
    pytest.fail(
        f"expected Prefect's server to be healthy within {SERVER_STARTS_WITHIN_SECONDS} s, got:\n{log}"
    )


@pytest.fixture
def prefect_api(prefect_server: str) -> Iterator[str]:
    """Prefect's client in this process, and in its children, speaks to the tests' own server."""
    before = os.environ.get("PREFECT_API_URL")
    os.environ["PREFECT_API_URL"] = prefect_server
    with temporary_settings({PREFECT_API_URL: prefect_server}):
        yield prefect_server
    if before is None:
        del os.environ["PREFECT_API_URL"]
    else:
        os.environ["PREFECT_API_URL"] = before
