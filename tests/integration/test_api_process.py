"""The API as a process of its own: `python -m console.api`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

MODULE = (sys.executable, "-m", "console.api")
ROOT = Path(__file__).parents[2]


def environment(home: Path, database_url: str, **others: str) -> dict[str, str]:
    inherited = {name: text for name, text in os.environ.items() if not name.startswith("MISSIONDESK_")}
    own = {"MISSIONDESK_HOME": str(home), "MISSIONDESK_DATABASE_URL": database_url, "PYTHONPATH": str(ROOT)}
    return {**inherited, **own, **others}


@contextmanager
def started(home: Path, database_url: str, *options: str, **others: str) -> Iterator[str]:
    """The URL that the process says it listens at."""
    command = [*MODULE, "--port", "0", *options]
    process = subprocess.Popen(
        command, env=environment(home, database_url, **others), cwd=home, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.communicate(timeout=30)


def test_it_says_where_it_listens_and_loads_no_prefect_and_no_ccxt(
    database_url: str, short_home: Path
) -> None:
    with started(short_home, database_url) as url:
        assert url.startswith("http://127.0.0.1:")
        assert httpx.get(f"{url}/health", timeout=30).json() == {"status": "ok"}
        page = httpx.get(f"{url}/docs", timeout=30)
        assert page.status_code == 200 and "POST /api/missions/{mission}/run" in page.text
        assert "<script" not in page.text
    loaded = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import console.api.__main__"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    ).stderr
    names = {line.rpartition("|")[2].strip() for line in loaded.splitlines()}
    assert "fastapi" in names
    assert not {"prefect", "ccxt", "talib", "pandas"} & names


def test_a_port_in_use_is_said_so(database_url: str, short_home: Path) -> None:
    with started(short_home, database_url) as url:
        port = url.rpartition(":")[2]
        second = subprocess.run(
            [*MODULE, "--port", port],
            env=environment(short_home, database_url),
            cwd=short_home,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert second.returncode == 1
    assert f"127.0.0.1:{port} can't be listened at" in second.stderr


def test_it_listens_to_others_where_a_token_is_set(database_url: str, short_home: Path) -> None:
    token = "a-token-for-tests"
    with started(short_home, database_url, "--host", "0.0.0.0", MISSIONDESK_API_TOKEN=token) as url:
        reached = url.replace("0.0.0.0", "127.0.0.1")
        assert httpx.get(f"{reached}/api/missions", timeout=30).status_code == 401
        shown = {"Authorization": f"Bearer {token}"}
        assert httpx.get(f"{reached}/api/missions", headers=shown, timeout=30).json() == []
