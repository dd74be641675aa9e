"""A playback in the foreground, until someone stops it."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import click

from missiondesk.exchanges.sandbox.playback.dialects import DIALECTS
from missiondesk.exchanges.sandbox.playback.server import PlaybackServer
from models.errors import InputRefused


def play(folder: Path, *, speed: float, repeat: bool, port: int) -> None:
    """Play what is in `folder`, a folder for each venue with `rest` and `ws` in it; speed 0: without a pause.

    Prints where, and returns at Ctrl-C or SIGTERM. Raises InputRefused when nothing is recorded there,
    OSError when the port is in use.
    """
    folders = {name: folder / name for name in DIALECTS if (folder / name).is_dir()}
    if not folders:
        raise InputRefused(f"expected a folder {' or '.join(DIALECTS)} in {folder}, got none")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    with PlaybackServer(folders, speed=speed or None, repeat=repeat, port=port) as server:
        click.echo(f"playing {', '.join(folders)} at {server.url}")
        stop.wait()
