"""The database that timed tasks use: the one of the environment, or of the desk that runs in its home."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from sqlalchemy import Engine, text
from sqlalchemy.exc import ProgrammingError

from missiondesk.desk_file import settings_with_desk
from missiondesk.store.database import connect
from models.errors import InvalidSetting

_UNDEFINED_TABLE = "42P01"


def engine_of_environment() -> Engine:
    """One engine per process and database. A database that was never migrated is migrated first."""
    return _engine(settings_with_desk().database_url.get_secret_value(), os.getpid())


@cache
def _engine(url: str, pid: int) -> Engine:
    # By pid: a fork must not use its parent's connections.
    engine = connect(url)
    with engine.connect() as connection:
        migrated = connection.scalar(text("SELECT to_regclass('alembic_version') IS NOT NULL"))
    if not migrated:
        from missiondesk.store.migrate import upgrade

        upgrade(url)
    return engine


@contextmanager
def table_of_this_version() -> Iterator[None]:
    """Raises InvalidSetting for a database of an older version, which only `missiondesk up` migrates."""
    try:
        yield
    except ProgrammingError as error:
        if getattr(error.orig, "pgcode", None) != _UNDEFINED_TABLE:
            raise
        raise InvalidSetting(
            "the database has no table timed_task: it is of an older version; start `missiondesk up` once, "
            "which dumps and migrates it"
        ) from error
