"""A desk makes its databases ready: made when missing, dumped before they are migrated."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from console.desk.databases import prepare_databases
from console.verbs.database import open_database
from missiondesk.settings import Settings
from missiondesk.store import migrate
from missiondesk.store.administration import drop_database, has_tables, session
from missiondesk.store.embedded import EmbeddedPostgres
from models.errors import DatabaseUnreachable, InputRefused


@pytest.fixture
def empty(postgres: EmbeddedPostgres, tmp_path: Path) -> Iterator[Settings]:
    """A desk whose database is there, and empty."""
    name = f"test_{uuid4().hex}"
    postgres.create_database(name)
    yield settings_for(postgres.url(name), tmp_path)
    for made in (name, f"{name}_prefect"):
        drop_database(postgres.url("postgres"), made)


def settings_for(url: str, home: Path) -> Settings:
    return Settings.load({"MISSIONDESK_HOME": str(home), "MISSIONDESK_DATABASE_URL": url})


def test_an_empty_database_is_migrated_without_a_dump(empty: Settings, tmp_path: Path) -> None:
    said: list[str] = []
    prepare_databases(empty, said.append)
    assert migrate.current(empty.database_url.get_secret_value()) == migrate.head()
    assert said == [f"the database is at revision {migrate.head()}"]
    assert not (tmp_path / "backups").exists()


def test_prefect_gets_a_database_of_its_own(empty: Settings) -> None:
    prepare_databases(empty, print)
    url = empty.database_url.get_secret_value()
    prefects = urlsplit(url)._replace(path=f"{urlsplit(url).path}_prefect").geturl()
    assert not has_tables(prefects)


def test_a_database_with_tables_is_dumped_before_it_is_migrated(empty: Settings, tmp_path: Path) -> None:
    with session(empty.database_url.get_secret_value()) as connected:
        connected.execute("CREATE TABLE precious (number int)")
    said: list[str] = []
    prepare_databases(empty, said.append)
    (dump,) = (tmp_path / "backups").iterdir()
    assert dump.read_bytes()[:5] == b"PGDMP"
    assert str(dump) in said[0]


def test_a_migrated_database_is_left_as_it_is(empty: Settings, tmp_path: Path) -> None:
    prepare_databases(empty, print)
    said: list[str] = []
    prepare_databases(empty, said.append)
    assert said == []
    assert not (tmp_path / "backups").exists()


def test_commands_refuse_a_database_that_no_desk_has_used(empty: Settings) -> None:
    with pytest.raises(InputRefused, match="holds no Mission table yet"):
        open_database(empty)
    prepare_databases(empty, print)
    open_database(empty).dispose()


def test_a_database_that_does_not_exist_names_itself(postgres: EmbeddedPostgres, tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnreachable, match='"missing" does not exist'):
        prepare_databases(settings_for(postgres.url("missing"), tmp_path), print)
