"""Brings a database to the schema of this version. The revisions are in `missiondesk.store.migrations`."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from missiondesk.store.database import connect, transaction
from models.errors import InvalidSetting

# The desks that start at the same moment on one database go through here one after the other.
_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtext('missiondesk.migrate'))")


def upgrade(url: str, revision: str = "head") -> None:
    """Apply every revision that is missing up to this one, in one transaction; none missing is fine.

    Raises DatabaseUnreachable, and InvalidSetting for a database that a newer version has migrated.
    """
    config = _config()
    engine = connect(url)
    try:
        with transaction(engine) as connection:
            connection.execute(_ONE_AT_A_TIME)
            present = MigrationContext.configure(connection).get_current_revision()
            if present is not None and present not in _revisions(config):
                raise InvalidSetting(
                    f"the database is at revision {present}, and this version of missiondesk knows none "
                    f"after {head()}: install the version that migrated it, or a newer one"
                )
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
    finally:
        engine.dispose()


def current(url: str) -> str | None:
    """The revision of the database, None when it was never migrated."""
    engine = connect(url)
    try:
        with engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    finally:
        engine.dispose()


def head() -> str:
    """The newest revision of this version."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None
    return revision


def _revisions(config: Config) -> set[str]:
    return {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
