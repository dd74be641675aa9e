"""`python -m console.hub`: one more process that serves components; any number may run on one database."""

from __future__ import annotations

import socket
import sys

import click
import uvicorn

from console.hub.logs import start_logging
from console.hub.server import UVICORN_OPTIONS, create_hub_app, prepare_process
from console.loopback import refuse_open_door
from missiondesk.desk_file import settings_with_desk
from models.errors import MissiondeskError


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0: any free one; it is printed.")
def main(host: str, port: int) -> None:
    """Serve components, and nothing else."""
    try:
        settings = settings_with_desk()
        refuse_open_door(host, settings)
        app = create_hub_app(settings)
    except MissiondeskError as error:
        click.echo(f"missiondesk: {error}", err=True)
        sys.exit(1)
    prepare_process()
    with socket.create_server((host, port), backlog=2048) as listening:
        bound = listening.getsockname()[1]
        start_logging(settings, settings.home / "logs" / f"hub-{bound}.log")
        click.echo(f"http://{host}:{bound}")
        sys.stdout.flush()
        server = uvicorn.Server(uvicorn.Config(app, **UVICORN_OPTIONS))
        server.run([listening])


if __name__ == "__main__":
    main()
