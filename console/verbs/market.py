"""`missiondesk market`: live prices and spreads for the terminal, the bus and the store, and their replay."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, Final

import click
from rich.live import Live

from console.verbs.market_view import market_view
from missiondesk.bus.open import open_bus
from missiondesk.exchanges.markets import create_markets
from missiondesk.feeds.board import Place
from missiondesk.feeds.feed import Feed, FeedThread
from missiondesk.feeds.open import Venues, open_feed
from missiondesk.feeds.sinks import to_bus, to_store
from missiondesk.market_names import NamedMarket, market_of
from missiondesk.settings import Settings
from missiondesk.store.database import connect
from missiondesk.store.quotes import Quotes
from missiondesk.strategies.diff import DiffStrategy, Triggers
from missiondesk.strategies.report import Strategy, replayed
from missiondesk.strategies.spreads import Pair
from missiondesk.strategies.ticker import TickerStrategy
from models.errors import InputRefused
from models.quote import Quote

_LOOK_SECONDS: Final = 0.25

DEFAULT_MARKETS: Final = "okex_future_btcusd_thisweek,kraken:BTC/USD"


class Verb(StrEnum):
    WATCH = "watch"
    FEED = "feed"
    EXEC = "exec"
    REXEC = "rexec"


class StrategyName(StrEnum):
    DIFF = "diff"
    TICKER = "ticker"


class _Number(click.ParamType[Decimal]):
    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        try:
            number = Decimal(str(value))
        except InvalidOperation:
            number = Decimal("NaN")
        return number if number.is_finite() else self.fail(f"expected a number, got {value!r}", param, ctx)


class _Instant(click.ParamType[datetime]):
    name = "instant"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            instant = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"expected an instant such as 2026-01-31T12:00, got {value!r}", param, ctx)
        return instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)


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
@click.option(
    "-s",
    "--strategy",
    type=click.Choice([name.value for name in StrategyName]),
    default=StrategyName.DIFF.value,
    show_default=True,
)
@click.option("--open-above", type=_Number(), default="0", help="exec, rexec: the spread that opens a trade.")
@click.option(
    "--close-above", type=_Number(), default="0", help="exec, rexec: what a closed one has to leave."
)
@click.option("--amount", type=_Number(), default="1", help="exec, rexec: of base, each time.")
@click.option("--fee", type=_Number(), multiple=True, help="rexec: taker fee of each market, a fraction.")
@click.option("--begin", type=_Instant(), help="rexec: from when on.  [default: the beginning]")
@click.option("--end", type=_Instant(), help="rexec: until when.  [default: now]")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), help="Stop after so long.")
@click.option("--quotes", type=click.IntRange(1), help="Stop after so many.")
@click.option("--playback", metavar="URL", help="Ask the venues that a playback recorded, not the real ones.")
@click.pass_context
def market(context: click.Context, /, verb: str, markets: str, debug: bool, **options: Any) -> None:
    """Watch, stream, trade on paper, or replay the prices of markets.

    watch prints prices and spreads; feed streams prices to the bus and the store; exec runs the strategy on
    paper; rexec runs it over prices that feed stored.
    """
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING)
    settings = context.obj or Settings.load()
    try:
        named = [market_of(name.strip(), datetime.now(UTC)) for name in markets.split(",")]
        if options["strategy"] == StrategyName.DIFF and verb != Verb.FEED and len(named) != 2:
            raise InputRefused(f"expected two markets for strategy diff, got {len(named)}: {markets}")
        _run(Verb(verb), settings, named, options)
    except InputRefused as refused:
        raise click.UsageError(str(refused)) from None


def _run(verb: Verb, settings: Settings, named: Sequence[NamedMarket], options: Mapping[str, Any]) -> None:
    if verb is Verb.REXEC:
        _replay(settings, named, options)
        return
    venues = Venues(settings, options["playback"])
    fees = [found.instrument.taker for found in _found(named, venues).values()]
    feed = open_feed(named, venues)
    limit = _Limit(options["seconds"], options["quotes"])
    if verb is Verb.FEED:
        _stream(settings, feed, limit)
        return
    strategy = _strategy(named, fees, options, trades=verb is Verb.EXEC)
    places = [Place(market.exchange, market.symbol) for market in named]
    if verb is Verb.WATCH and sys.stdout.isatty():
        pair = strategy.pair if isinstance(strategy, DiffStrategy) else None
        with FeedThread(feed) as running, Live(refresh_per_second=4) as screen:

            def draw() -> None:
                screen.update(market_view(feed.board, places, pair, datetime.now(UTC)))

            feed.register(limit)
            limit.wait(running, draw)
        return

    def report(quote: Quote) -> None:
        for line in strategy.on_quote(feed.board, quote, datetime.now(UTC)):
            click.echo(str(line))

    feed.register(report)
    feed.register(limit)
    with FeedThread(feed) as running:
        limit.wait(running)


def _stream(settings: Settings, feed: Feed, limit: _Limit) -> None:
    bus = open_bus(settings)
    with to_bus(bus) as published, to_store(_quotes(settings)) as stored:
        feed.register(published)
        feed.register(stored)
        feed.register(limit)
        click.echo(f"streaming {', '.join(feed.venues)} to the bus and the store")
        with FeedThread(feed) as running:
            limit.wait(running)
    bus.close()
    click.echo(f"{stored.written} quotes stored, {published.written} published")


class _Limit:
    """How long to go on: so many seconds, so many quotes, or for ever."""

    def __init__(self, seconds: float | None, quotes: int | None) -> None:
        self._deadline = None if seconds is None else time.monotonic() + seconds
        self._quotes = quotes

    def __call__(self, quote: Quote) -> None:
        if self._quotes is not None:
            self._quotes -= 1

    def wait(self, running: FeedThread, draw: Callable[[], object] = lambda: None) -> None:
        """Until it is reached, or the feed ends by itself; draws four times a second."""
        while not self._reached() and not running.wait(_LOOK_SECONDS):
            draw()

    def _reached(self) -> bool:
        late = self._deadline is not None and time.monotonic() >= self._deadline
        return late or (self._quotes is not None and self._quotes <= 0)


def _found(named: Sequence[NamedMarket], venues: Venues) -> Mapping[str, Any]:
    return create_markets([market.name for market in named], venues.open, datetime.now(UTC))


def _replay(settings: Settings, named: Sequence[NamedMarket], options: Mapping[str, Any]) -> None:
    fees = list(options["fee"]) or [Decimal(0)] * len(named)
    if len(fees) != len(named):
        raise InputRefused(f"expected --fee once for each of {len(named)} markets, got {len(fees)}")
    begin = options["begin"] or datetime.min.replace(tzinfo=UTC)
    places = [(market.exchange, market.symbol) for market in named]
    quotes = _quotes(settings).between(places, begin, options["end"] or datetime.now(UTC))
    strategy = _strategy(named, fees, options, trades=True)
    silent = True
    for line in replayed(quotes, strategy):
        silent = False
        click.echo(str(line))
    if silent:
        click.echo("nothing of these markets is stored in this period; `missiondesk market feed` stores it")


def _strategy(
    named: Sequence[NamedMarket], fees: Sequence[Decimal], options: Mapping[str, Any], *, trades: bool
) -> Strategy:
    if options["strategy"] == StrategyName.TICKER:
        return TickerStrategy()
    a, b = (Place(market.exchange, market.symbol) for market in named)
    triggers = Triggers(options["open_above"], options["close_above"], options["amount"])
    return DiffStrategy(Pair(a, b, fees[0], fees[1]), triggers if trades else None)


def _quotes(settings: Settings) -> Quotes:
    return Quotes(connect(settings.database_url.get_secret_value()))
