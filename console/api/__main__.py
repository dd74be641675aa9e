"""`python -m console.api`: serve the API of the desk whose home the environment names."""

from __future__ import annotations

import logging
import socket
import sys

import click
import uvicorn

from console.api.app import create_app
from console.hub.logs import UNSTAMPED
from console.hub.server import UVICORN_OPTIONS, prepare_process
from console.loopback import refuse_open_door
from missiondesk.desk_file import join_desk
from models.errors import InvalidSetting, MissiondeskError


@click.command()
@click.option("--host", help="Where to listen.  [default: MISSIONDESK_CONSOLE_HOST or 127.0.0.1]")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="0: any free one; it is printed.  [default: MISSIONDESK_CONSOLE_PORT or 4201]",
)
def main(host: str | None, port: int | None) -> None:
    """Serve the desk's HTTP API. Other machines reach it only where MISSIONDESK_API_TOKEN is set."""
    try:
        settings = join_desk()
        app = create_app(settings)
        address = (host or settings.console_host, settings.console_port if port is None else port)
        refuse_open_door(address[0], settings)
        listening = _listen(*address)
    except MissiondeskError as error:
        click.echo(f"missiondesk: {error}", err=True)
        sys.exit(1)
    logging.basicConfig(level=settings.log_level, format=UNSTAMPED)
    prepare_process()
    with listening:
        click.echo(f"http://{_in_url(address[0])}:{listening.getsockname()[1]}")
        sys.stdout.flush()
        uvicorn.Server(uvicorn.Config(app, **UVICORN_OPTIONS)).run([listening])


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise InvalidSetting(f"{_in_url(host)}:{port} can't be listened at: {error}") from None


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


if __name__ == "__main__":
    main()
