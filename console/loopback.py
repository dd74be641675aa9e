"""Where a server may listen: without a token only on this machine."""

from __future__ import annotations

from missiondesk.settings import Settings
from models.errors import InvalidSetting

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def refuse_open_door(host: str, settings: Settings) -> None:
    """Raises InvalidSetting where others could reach the API and no token is asked for."""
    if host not in LOOPBACK_NAMES and settings.given_api_token is None:
        raise InvalidSetting(
            f"MISSIONDESK_API_TOKEN: expected a token, because {host} can be reached from other machines, "
            "got none; set one, or listen on 127.0.0.1"
        )
