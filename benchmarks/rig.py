"""A desk for benchmarks: PostgreSQL, both databases and Prefect's server with the desk's own settings."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from prefect.settings import PREFECT_API_URL, temporary_settings

from console.desk.databases import prepare_databases
from console.desk.environment import asyncpg_url, for_parts, for_prefect_server, prefect_database
from console.desk.ports import LOOPBACK, free_port
from missiondesk.settings import Settings
from missiondesk.store.embedded import EmbeddedPostgres

SERVER_STARTS_WITHIN_SECONDS = 120


@dataclass(frozen=True)
class Rig:
    """A running server; `environment` leads other processes to it."""

    settings: Settings
    api: str
    environment: dict[str, str]

    @contextmanager
    def worker(self, worker_type: str, pool: str) -> Iterator[subprocess.Popen[bytes]]:
        """`prefect worker start --type …`, ended with everything it started."""
        command = ["-m", "prefect", "worker", "start", "--type", worker_type, "--pool", pool]
        with self._process(f"worker-{worker_type}", command) as process:
            yield process

    @contextmanager
    def _process(self, name: str, arguments: list[str]) -> Iterator[subprocess.Popen[bytes]]:
        with (self.settings.home / f"{name}.log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(timeout=120)


@contextmanager
def rig() -> Iterator[Rig]:
    """Up to date databases in a home of their own, removed afterwards."""
    home = Path(tempfile.mkdtemp(prefix="bench-"))
    settings = Settings.load({"MISSIONDESK_HOME": str(home)})
    postgres = EmbeddedPostgres(home)
    postgres.start()
    try:
        prepare_databases(settings, lambda _: None)
        port = free_port()
        api = f"http://{LOOPBACK}:{port}/api"
        database = asyncpg_url(settings.database_url.get_secret_value(), prefect_database(settings))
        parts = for_parts(settings, api, {"MISSIONDESK_HOME": str(home)})
        parts.pop("MISSIONDESK_DATABASE_URL")
        server = Rig(settings, api, {**parts, **for_prefect_server(settings, database)})
        command = ["-m", "prefect", "server", "start", "--host", LOOPBACK, "--port", str(port)]
        with server._process("prefect", command), temporary_settings({PREFECT_API_URL: api}):
            os.environ["PREFECT_API_URL"] = api
            _wait_until_healthy(api)
            yield Rig(settings, api, parts)
    finally:
        os.environ.pop("PREFECT_API_URL", None)
        postgres.stop()
        shutil.rmtree(home, ignore_errors=True)


def _wait_until_healthy(api: str) -> None:
    deadline = time.monotonic() + SERVER_STARTS_WITHIN_SECONDS
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{api}/health", timeout=2).status_code == httpx.codes.OK:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise TimeoutError(f"Prefect's server was not healthy within {SERVER_STARTS_WITHIN_SECONDS} s")
