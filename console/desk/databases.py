"""Makes a desk's two databases ready: ours migrated (and dumped before), Prefect's present."""

from __future__ import annotations

from datetime import UTC, datetime

from console.desk.environment import prefect_database
from console.desk.supervisor import Say
from missiondesk.settings import Settings
from missiondesk.store import migrate
from missiondesk.store.administration import create_database, dump_database, has_tables, with_database


def prepare_databases(settings: Settings, say: Say) -> None:
    """Raises DatabaseUnreachable; InvalidSetting for a database that a newer version has migrated."""
    url = settings.database_url.get_secret_value()
    if settings.embedded:
        create_database(with_database(url, "postgres"), "missiondesk")
    create_database(url, prefect_database(settings))
    present, newest = migrate.current(url), migrate.head()
    if present == newest:
        return
    if has_tables(url):
        path = settings.home / "backups" / f"missiondesk-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.dump"
        dump_database(url, path)
        say(f"kept a dump of the database in {path} before migrating it from {present} to {newest}")
    migrate.upgrade(url)
    say(f"the database is at revision {newest}")
