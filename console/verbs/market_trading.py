"""`missiondesk market exec`: a strategy on live prices, its orders through the desk's order gateway."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from typing import Final

import click

from console.verbs.database import open_database
from console.verbs.market_limit import Limit
from console.verbs.market_options import MarketOptions
from console.verbs.market_strategies import places_of, rules_of
from missiondesk.desk import Desk
from missiondesk.exchanges.credentials import Credentials
from missiondesk.feeds.feed import Feed, FeedThread
from missiondesk.feeds.open import Venues, open_feed
from missiondesk.feeds.sinks import to_store
from missiondesk.market_names import NamedMarket
from missiondesk.markets.listed import listed_markets
from missiondesk.orders.gateway import utc_now
from missiondesk.settings import Settings
from missiondesk.store.quotes import Quotes
from missiondesk.store.strategy_runs import StrategyRuns
from missiondesk.strategies.accounts import accounts_for
from missiondesk.strategies.legs import Leg, Legs
from missiondesk.strategies.pair_trading import PairTrading
from missiondesk.strategies.report import Report
from missiondesk.strategies.ticker import TickerStrategy
from missiondesk.strategies.trader import DeskTrader
from models.account import Account
from models.errors import CallOperator, InputRefused
from models.quote import Quote

_LOOK_SECONDS: Final = 0.25


def trade(settings: Settings, named: Sequence[NamedMarket], options: MarketOptions) -> None:
    """Until the limit, or until the strategy has stopped itself: then CallOperator.

    Raises InputRefused for what does not go together, and ExchangeUnreachable while orders of an earlier
    run have not settled.
    """
    if options.playback is not None:
        raise InputRefused("expected exec without --playback: nobody trades at the prices of the past")
    open_database(settings).dispose()
    desk = Desk(settings, _credentials_of)
    places, names = places_of(named), [market.name for market in named]
    found = listed_markets(names, desk.market, datetime.now(UTC))
    feed, limit = open_feed(named, Venues(settings)), Limit(options.seconds, options.quotes)
    instruments = [found[name].instrument for name in names]
    rules = rules_of(options, places, [instrument.taker for instrument in instruments])
    if rules is None:
        _tell_and_store(desk, feed, limit)
        return
    exchanges = [place.exchange for place in places]
    accounts, mode = accounts_for(exchanges, options.account, desk.accounts, desk.default_exchange)
    lead, cover = (
        Leg(account.name, instrument) for account, instrument in zip(accounts, instruments, strict=True)
    )
    runs = StrategyRuns(desk.engine)
    run_id = runs.open(options.strategy, mode, [f"{leg}@{leg.account}" for leg in (lead, cover)])
    with runs.alone(run_id):
        gateway = desk.strategy_gateway(run_id, mode)
        click.echo(f"{options.strategy} trades {mode}: {lead} as {lead.account}, {cover} as {cover.account}")
        strategy = PairTrading(
            rules,
            Legs(lead, cover),
            options.amount,
            DeskTrader(gateway, desk.market, utc_now),
            patience=options.patience,
            orders=gateway.settle(),
        )
        try:
            _work(strategy, feed, limit)
        finally:
            settled = gateway.settle()
            held = Legs(lead, cover).held(settled)
            click.echo(
                f"{len(settled)} orders so far; it holds {held.lead.amount:f} of {lead}, "
                f"{held.cover.amount:f} of {cover}"
            )


def _work(strategy: PairTrading, feed: Feed, limit: Limit) -> None:
    heard: SimpleQueue[Quote] = SimpleQueue()
    feed.register(heard.put)
    feed.register(limit)
    with FeedThread(feed) as running:
        while not limit.is_reached and not running.wait(0):
            newest = _newest(heard)
            now = datetime.now(UTC)
            _say(
                strategy.work(feed.board, now)
                if newest is None
                else strategy.on_quote(feed.board, newest, now)
            )
            if strategy.stopped:
                raise CallOperator("the strategy has stopped itself; once all is well, start it again")


def _newest(heard: SimpleQueue[Quote]) -> Quote | None:
    """Of all that were heard meanwhile: an older price is no use to anybody."""
    newest = None
    with suppress(Empty):
        newest = heard.get(timeout=_LOOK_SECONDS)
        while True:
            newest = heard.get_nowait()
    return newest


def _credentials_of(account: Account) -> Credentials | None:
    # Blocks are Prefect's, which takes seconds to import: only for who trades live.
    from blocks.exchange_account import credentials_of

    return credentials_of(account)


def _tell_and_store(desk: Desk, feed: Feed, limit: Limit) -> None:
    ticker = TickerStrategy()
    with to_store(Quotes(desk.engine)) as stored:
        feed.register(stored)
        feed.register(lambda quote: _say(ticker.on_quote(feed.board, quote, datetime.now(UTC))))
        feed.register(limit)
        with FeedThread(feed) as running:
            limit.wait(running)
    click.echo(f"{stored.written} quotes stored")


def _say(reports: Sequence[Report]) -> None:
    for report in reports:
        click.echo(str(report))
