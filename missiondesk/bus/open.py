"""The bus that the settings name."""

from __future__ import annotations

from missiondesk.bus.port import Bus
from missiondesk.bus.postgres import PostgresBus
from missiondesk.settings import Settings


def open_bus(settings: Settings) -> Bus:
    """Redis where MISSIONDESK_BUS_URL names one, else the desk's Postgres. Connects at its first use."""
    if settings.bus_url is None:
        return PostgresBus(settings.database_url.get_secret_value())
    # Most desks have no Redis, and its client takes a while to import.
    from missiondesk.bus.redis import RedisBus

    return RedisBus(settings.bus_url.get_secret_value())
