"""`missiondesk market`: live prices and spreads for the terminal, the bus and the store; trades on them."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TextIO, assert_never

import click

from console.verbs.market_options import DEFAULT_MARKETS, MarketOptions, Verb, market_options, markets_of
from console.verbs.market_replay import replay
from console.verbs.market_watch import stream, watch
from missiondesk.desk_file import join_desk
from missiondesk.market_names import NamedMarket
from missiondesk.settings import Settings
from models.errors import InputRefused, MissiondeskError


class _Failed(click.ClickException):
    """The command knows two exit codes: 0, and 2 for whatever went wrong."""

    exit_code = 2


class _NowStderr(logging.StreamHandler[TextIO]):
    """Writes to what is stderr at the moment: above the table, while one is drawn on the terminal."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


@click.command("market")
@click.argument("verb", type=click.Choice([verb.value for verb in Verb]), default=Verb.WATCH.value)
@click.option("-d", "--debug", is_flag=True, help="Log what happens, in detail.")
@click.option(
    "-m",
    "--markets",
    default=DEFAULT_MARKETS,
    show_default=True,
    metavar="NAMES",
    help="Separated by commas.",
)
@market_options
@click.pass_context
def market(context: click.Context, /, verb: str, markets: str, debug: bool, options: MarketOptions) -> None:
    """Watch, stream, trade on, or replay the prices of markets.

    watch prints prices and spreads; feed streams prices to the bus and the store; exec runs the strategy, on
    paper unless the accounts named are armed; rexec runs it over prices that feed stored.
    """
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, handlers=[_NowStderr()])
    try:
        with _ended_by_signals():
            settings = context.obj or join_desk()
            at = options.begin or datetime.now(UTC)
            named = markets_of(markets, Verb(verb), options.strategy, at)
            _run(Verb(verb), settings, named, options)
    except InputRefused as refused:
        raise click.UsageError(str(refused)) from None
    except MissiondeskError as error:
        raise _Failed(str(error)) from None


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Ctrl-C is how to end it, and so is SIGTERM."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        click.echo("stopped", err=True)
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(verb: Verb, settings: Settings, named: Sequence[NamedMarket], options: MarketOptions) -> None:
    match verb:
        case Verb.WATCH:
            watch(settings, named, options)
        case Verb.FEED:
            stream(settings, named, options)
        case Verb.EXEC:
            # The whole desk, which takes a while to import.
            from console.verbs.market_trading import trade

            trade(settings, named, options)
        case Verb.REXEC:
            replay(settings, named, options)
        case unexpected:
            assert_never(unexpected)
