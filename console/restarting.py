"""Restarts the walk of a Mission, for the command line and the HTTP API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from missiondesk.settings import Settings

if TYPE_CHECKING:
    from missiondesk.orders.restart import Restart


def restart(settings: Settings, mission: str | int) -> Restart:
    """As `restart_walk`, on the desk of the settings. Its libraries are heavy, and imported when needed."""
    from blocks.exchange_account import credentials_of
    from missiondesk.desk import Desk
    from missiondesk.orders.restart import restart_walk

    desk = Desk(settings, credentials_of)
    try:
        return restart_walk(desk.engine, desk.gateway("restart"), mission)
    finally:
        desk.engine.dispose()
