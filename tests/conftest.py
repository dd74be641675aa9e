"""What tests of every kind share: the candle files, a PostgreSQL server, a migrated database, a free port."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from missiondesk.store.administration import drop_database
from missiondesk.store.embedded import EmbeddedPostgres
from missiondesk.store.migrate import upgrade
from tests.ports import free_port

TEMPLATE = "missiondesk_template"

# A shell lets what runs in its background ignore Ctrl-C, and so would every program that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The recorded candles, trades and wire traffic beside the repository."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail(f"expected the test data in {folder}, got no such folder")
        pytest.skip(f"needs the test data in {folder}")
    return folder


@pytest.fixture
def short_home() -> Iterator[Path]:
    """An empty directory whose path is short enough for sockets, unlike `tmp_path`."""
    home = Path(tempfile.mkdtemp(prefix="desk-"))
    yield home
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """One embedded server per test process, with a migrated template database."""
    home = Path(tempfile.mkdtemp(prefix="desk-"))
    server = EmbeddedPostgres(home, {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"})
    server.start()
    try:
        server.create_database(TEMPLATE)
        upgrade(server.url(TEMPLATE))
        yield server
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def database_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """A database of one's own with all tables and no rows but those the migrations bring."""
    yield from _new_database(postgres)


@pytest.fixture
def other_database_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """A second one, to compare the first with."""
    yield from _new_database(postgres)


def _new_database(postgres: EmbeddedPostgres) -> Iterator[str]:
    name = f"test_{uuid4().hex}"
    postgres.create_database(name, TEMPLATE)
    yield postgres.url(name)
    drop_database(postgres.url("postgres"), name)


@pytest.fixture(name="free_port")
def one_free_port() -> int:
    return free_port()
