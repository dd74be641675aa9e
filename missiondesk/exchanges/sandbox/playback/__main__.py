"""`python -m missiondesk.exchanges.sandbox.playback FOLDER`"""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import click

from missiondesk.exchanges.sandbox.playback.dialects import DIALECTS
from missiondesk.exchanges.sandbox.playback.server import PlaybackServer
from models.errors import InputRefused


@click.command("playback")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--speed", type=click.FloatRange(0), default=1.0, show_default=True, help="0: without a pause.")
@click.option("--repeat", is_flag=True, help="Begin again at the end.")
@click.option("--port", default=0, show_default=True, help="Port on 127.0.0.1; 0 takes a free one.")
def main(folder: Path, speed: float, repeat: bool, port: int) -> None:
    """Play back recorded websockets of venues: FOLDER has a folder for each, with `rest` and `ws` in it."""
    folders = {name: folder / name for name in DIALECTS if (folder / name).is_dir()}
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    try:
        server = PlaybackServer(folders, speed=speed or None, repeat=repeat, port=port)
    except InputRefused as refused:
        raise click.ClickException(str(refused)) from None
    with server:
        click.echo(f"playing {', '.join(folders)} at {server.url}")
        stop.wait()


if __name__ == "__main__":
    main()
