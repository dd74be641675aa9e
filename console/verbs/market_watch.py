"""`missiondesk market watch` and `feed`: prices for the eye, and for the bus and the store."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import click
from rich.live import Live

from console.verbs.database import open_database
from console.verbs.market_limit import Limit
from console.verbs.market_options import MarketOptions
from console.verbs.market_strategies import pair_of, places_of, rules_of
from console.verbs.market_view import market_view
from missiondesk.bus.open import open_bus
from missiondesk.feeds.feed import FeedThread
from missiondesk.feeds.open import Venues, open_feed
from missiondesk.feeds.streaming import Streaming
from missiondesk.market_names import NamedMarket
from missiondesk.markets.listed import listed_markets
from missiondesk.settings import Settings
from missiondesk.strategies.report import Strategy
from missiondesk.strategies.rules import Watching
from missiondesk.strategies.ticker import TickerStrategy
from models.quote import Quote


def watch(settings: Settings, named: Sequence[NamedMarket], options: MarketOptions) -> None:
    """A table that is drawn again and again on a terminal, lines elsewhere. Writes nothing anywhere else."""
    venues, places = Venues(settings, options.playback), places_of(named)
    found = listed_markets([market.name for market in named], venues.open, datetime.now(UTC))
    fees = [market.instrument.taker for market in found.values()]
    feed, limit = open_feed(named, venues), Limit(options.seconds, options.quotes)
    feed.register(limit)
    if sys.stdout.isatty():
        pair = pair_of(places, fees) if len(places) == 2 else None
        with FeedThread(feed) as running, Live(refresh_per_second=4) as screen:
            limit.wait(
                running, lambda: screen.update(market_view(feed.board, places, pair, datetime.now(UTC)))
            )
        return
    rules = rules_of(options, places, fees)
    strategy: Strategy = TickerStrategy() if rules is None else Watching(rules)

    def report(quote: Quote) -> None:
        for line in strategy.on_quote(feed.board, quote, datetime.now(UTC)):
            click.echo(str(line))

    feed.register(report)
    with FeedThread(feed) as running:
        limit.wait(running)


def stream(settings: Settings, named: Sequence[NamedMarket], options: MarketOptions) -> None:
    """Every price to the bus and to the store, until the limit or the end of the feed."""
    database = open_database(settings)
    venues = Venues(settings, options.playback)
    listed_markets([market.name for market in named], venues.open, datetime.now(UTC))
    feed, limit = open_feed(named, venues), Limit(options.seconds, options.quotes)
    feed.register(limit)
    streaming = Streaming(feed, open_bus(settings), database)
    try:
        with streaming, FeedThread(feed) as running:
            click.echo(f"streaming {', '.join(feed.venues)} to the bus and the store")
            limit.wait(running)
    finally:
        click.echo(str(streaming))
