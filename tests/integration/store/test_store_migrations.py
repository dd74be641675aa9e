"""The migrations lead to the very schema that models.tables states, from any start, and only once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from uuid import uuid4

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

import models.component_tables
import models.notification_tables
import models.strategy_tables  # noqa: F401 — their tables are part of the metadata
from missiondesk.store.administration import drop_database
from missiondesk.store.database import connect
from missiondesk.store.migrate import current, head, upgrade
from models.errors import DatabaseUnreachable, InvalidSetting
from models.tables import metadata

# Everything about tables that Postgres knows, written out by itself.
CATALOGUE = {
    "columns": """
        SELECT table_name, column_name, data_type, udt_name, is_nullable, column_default, identity_generation
        FROM information_schema.columns WHERE table_schema = 'public'""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace""",
    "indexes": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
}


@pytest.fixture
def empty_url(postgres) -> Iterator[str]:
    name = f"empty_{uuid4().hex}"
    postgres.create_database(name)
    yield postgres.url(name)
    drop_database(postgres.url("postgres"), name)


def catalogue(url: str) -> dict[str, set[tuple]]:
    engine = connect(url)
    with engine.connect() as connection:
        found = {
            kind: {tuple(row) for row in connection.execute(text(query)) if "alembic_version" not in str(row)}
            for kind, query in CATALOGUE.items()
        }
    engine.dispose()
    return found


def test_the_migrated_schema_is_the_one_that_the_tables_state(empty_url, database_url):
    stated = connect(empty_url)
    metadata.create_all(stated)
    stated.dispose()
    migrated, wanted = catalogue(database_url), catalogue(empty_url)
    for kind in CATALOGUE:
        assert migrated[kind] == wanted[kind], kind


def test_alembic_finds_nothing_to_change(engine: Engine):
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_from_empty_to_the_newest_and_again_without_effect(empty_url):
    assert current(empty_url) is None
    upgrade(empty_url)
    assert current(empty_url) == head()
    before = catalogue(empty_url)
    upgrade(empty_url)
    assert catalogue(empty_url) == before


def test_rows_in_place_come_through_unchanged(empty_url):
    upgrade(empty_url, "0001")
    engine = connect(empty_url)
    rows = {
        "task": "INSERT INTO task (name, template, params) VALUES ('buy', 'market_buy', '{\"amount\": 1}')",
        "mission": "INSERT INTO mission (name, target_id) VALUES ('dip', 1)",
        "missionary": "INSERT INTO missionary (mission_id, task_ids, period) VALUES (1, '{1}', '4h')",
        "account": "INSERT INTO account (name, exchange) VALUES ('main', 'kraken')",
    }
    with engine.connect() as connection:
        for insert in rows.values():
            connection.execute(text(insert))
        before = {table: connection.execute(text(f"TABLE {table}")).all() for table in rows}
    upgrade(empty_url)
    with engine.connect() as connection:
        for table in rows:
            width = len(before[table][0])  # columns may have come behind
            after = [row[:width] for row in connection.execute(text(f"TABLE {table}"))]
            assert [row for row in before[table] if row not in after] == []
    engine.dispose()


def test_desks_that_start_together_migrate_once(empty_url):
    failures: list[Exception] = []

    def migrate() -> None:
        try:
            upgrade(empty_url)
        except Exception as error:
            failures.append(error)

    together = [threading.Thread(target=migrate) for _ in range(3)]
    for thread in together:
        thread.start()
    for thread in together:
        thread.join(60)
    assert failures == []
    assert current(empty_url) == head()


def test_a_database_of_a_newer_version_is_refused(rows, database_url):
    rows.sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(InvalidSetting, match="revision 9999"):
        upgrade(database_url)


def test_every_desk_starts_with_its_first_rows(engine: Engine):
    with engine.connect() as connection:
        conditions = connection.execute(text("SELECT name, valid FROM condition ORDER BY name")).all()
        accounts = connection.execute(text("SELECT name, armed FROM account")).all()
        halted = connection.execute(text("SELECT halted FROM desk WHERE installation IS NOT NULL")).all()
    assert conditions == [("always_false", False), ("always_true", True)]
    assert accounts == [("paper", False)]
    assert halted == [(False,)]


def test_no_account_is_armed_without_its_limits(rows):
    with pytest.raises(IntegrityError, match="ck_account_armed_needs_limits"):
        rows.sql("UPDATE account SET armed = true, max_order_notional = 100")
    rows.sql("UPDATE account SET armed = true, max_order_notional = 100, max_daily_loss = 50")


def test_an_unreachable_database_is_named_without_its_password(postgres):
    with pytest.raises(DatabaseUnreachable) as refused:
        current("postgresql+psycopg2://me:secret-word@127.0.0.1:1/desk")
    assert "postgresql+psycopg2://me:***@127.0.0.1:1/desk" in str(refused.value)
    assert "secret-word" not in str(refused.value)
    with pytest.raises(DatabaseUnreachable, match='database "nowhere" does not exist'):
        current(postgres.url("nowhere"))


def test_a_connection_that_is_lost_is_told_and_made_anew(engine, postgres):
    with engine.connect() as connection:
        own = connection.scalar(text("SELECT pg_backend_pid()"))
        outside = connect(postgres.url("postgres"))
        with outside.connect() as other:
            other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": own})
        outside.dispose()
        with pytest.raises(DatabaseUnreachable):
            connection.scalar(text("SELECT 1"))
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT 1")) == 1
        assert connection.scalar(text("SHOW timezone")) == "UTC"
