"""The desk's database for a command that people type."""

from __future__ import annotations

from sqlalchemy import Engine

from missiondesk.settings import Settings
from missiondesk.store.administration import session, without_password
from missiondesk.store.database import connect
from models.errors import InputRefused


def open_database(settings: Settings) -> Engine:
    """Raises DatabaseUnreachable, and InputRefused for a database that no desk has used yet."""
    url = settings.database_url.get_secret_value()
    with session(url) as connected:
        connected.execute("SELECT to_regclass('mission') IS NOT NULL")
        if connected.fetchone() != (True,):
            raise InputRefused(
                f"the database {without_password(url)} holds no Mission table yet: `missiondesk up` makes it"
            )
    return connect(url)
