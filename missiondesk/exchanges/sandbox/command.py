"""The sandbox from the command line."""

from __future__ import annotations

from contextlib import closing, suppress
from decimal import Decimal, InvalidOperation
from pathlib import Path

import click

from missiondesk.exchanges.sandbox.access import CallLimit
from missiondesk.exchanges.sandbox.address import READY_LINE, SANDBOX_KEY, SANDBOX_SECRET
from missiondesk.exchanges.sandbox.exchange import FIRST_BALANCES
from missiondesk.exchanges.sandbox.server import (
    Sandbox,
    SandboxSettings,
    listening_socket,
)
from models.errors import InputRefused


def _balances(context: click.Context, option: click.Parameter, given: tuple[str, ...]) -> dict[str, Decimal]:
    try:
        pairs = [each.split("=") for each in given]
        return {asset: Decimal(owned) for asset, owned in pairs}
    except (ValueError, InvalidOperation):
        raise click.BadParameter(f"expected ASSET=AMOUNT like USD=1000, got {' '.join(given)}") from None


@click.command("sandbox")
@click.option("--port", default=0, show_default=True, help="Port on 127.0.0.1; 0 takes a free one.")
@click.option("--candles", type=click.Path(path_type=Path), help="A candle file or a folder of them.")
@click.option("--state", type=click.Path(path_type=Path), help="File to keep orders and balances in.")
@click.option("--key", default=SANDBOX_KEY, show_default=True, help="API key to accept.")
@click.option("--secret", default=SANDBOX_SECRET, help="Its base64 secret.")
@click.option("--seed", default=1, show_default=True, help="Seed of generated prices.")
@click.option("--balance", multiple=True, callback=_balances, help="First balance, ASSET=AMOUNT; repeatable.")
@click.option(
    "--call-limit", default=CallLimit().most, show_default=True, help="Most the call counter holds."
)
@click.option("--call-decay", default=CallLimit().decay, show_default=True, help="Its decay per second.")
@click.option(
    "--play",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Play recorded websockets instead: a folder with one for each venue.",
)
@click.option(
    "--speed", type=click.FloatRange(0), default=1.0, show_default=True, help="Of --play; 0: without a pause."
)
@click.option("--repeat", is_flag=True, help="Of --play: begin again at the end.")
def main(
    port: int,
    candles: Path | None,
    state: Path | None,
    key: str,
    secret: str,
    seed: int,
    balance: dict[str, Decimal],
    call_limit: float,
    call_decay: float,
    play: Path | None,
    speed: float,
    repeat: bool,
) -> None:
    """Run a local exchange that speaks Kraken's protocols, or one that says again what venues once said.

    At the same address it is an OKX and a BitMEX too, over REST, each with an account of its own.
    `missiondesk market --playback URL` watches what --play plays.
    """
    if play is not None:
        _play(play, speed, repeat, port)
        return
    settings = SandboxSettings(
        source=candles,
        state=state,
        seed=seed,
        balances=balance or FIRST_BALANCES,
        credentials={key: secret},
        call_limit=CallLimit(call_limit, call_decay),
    )
    try:
        sandbox = Sandbox(settings)
    except InputRefused as refused:
        raise click.ClickException(str(refused)) from None
    try:
        listener = listening_socket(port)
    except OSError as problem:
        raise _port_refused(port, problem) from None
    ready = f"{READY_LINE}http://127.0.0.1:{listener.getsockname()[1]}"
    with listener, closing(sandbox), suppress(KeyboardInterrupt):
        sandbox.server(on_start=lambda: click.echo(ready)).run([listener])


def _play(folder: Path, speed: float, repeat: bool, port: int) -> None:
    # aiohttp takes its time to import.
    from missiondesk.exchanges.sandbox.playback.serving import play

    try:
        play(folder, speed=speed, repeat=repeat, port=port)
    except InputRefused as refused:
        raise click.ClickException(str(refused)) from None
    except OSError as problem:
        raise _port_refused(port, problem) from None


def _port_refused(port: int, problem: OSError) -> click.ClickException:
    return click.ClickException(f"port {port} on 127.0.0.1: {problem.strerror}; give another --port")
