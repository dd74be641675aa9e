"""`python -m console.api`: serve the API of the desk whose home the environment names."""

from __future__ import annotations

import os
import sys

import click
import uvicorn

from console.api.access import LOOPBACK_NAMES
from console.api.app import create_app
from missiondesk.desk_file import exports
from missiondesk.settings import Settings
from models.errors import InvalidSetting, MissiondeskError


@click.command()
@click.option(
    "--host", metavar="NAME", help="Where to listen.  [default: MISSIONDESK_CONSOLE_HOST or 127.0.0.1]"
)
@click.option(
    "--port", metavar="N", type=click.IntRange(0, 65535), help="[default: MISSIONDESK_CONSOLE_PORT or 4201]"
)
def main(host: str | None, port: int | None) -> None:
    """Serve the desk's HTTP API. Other machines reach it only where MISSIONDESK_API_TOKEN is set."""
    try:
        settings = _join_desk()
        listening_at = host or settings.console_host
        refuse_open_door(listening_at, settings)
    except MissiondeskError as error:
        click.echo(f"missiondesk: {error}", err=True)
        sys.exit(1)
    uvicorn.run(
        create_app(settings),
        host=listening_at,
        port=settings.console_port if port is None else port,
        log_level=settings.log_level.lower(),
        access_log=False,
        ws_ping_interval=20,
    )


def refuse_open_door(host: str, settings: Settings) -> None:
    """Raises InvalidSetting where others could reach the API and no token is asked for."""
    if host not in LOOPBACK_NAMES and settings.given_api_token is None:
        raise InvalidSetting(
            f"MISSIONDESK_API_TOKEN: expected a token, because {host} can be reached from other machines, "
            "got none; set one, or listen on 127.0.0.1"
        )


def _join_desk() -> Settings:
    """What the environment says; what it leaves out comes from the running desk, for Prefect too."""
    for name, value in exports(Settings.load()).items():
        if not os.environ.get(name):
            os.environ[name] = value
    return Settings.load()


if __name__ == "__main__":
    main()
