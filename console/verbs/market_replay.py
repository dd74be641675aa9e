"""`missiondesk market rexec`: a strategy over the prices that `feed` stored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

import click

from console.verbs.database import open_database
from console.verbs.market_options import MarketOptions
from console.verbs.market_strategies import places_of, rules_of
from missiondesk.feeds.board import Board
from missiondesk.market_names import NamedMarket
from missiondesk.settings import Settings
from missiondesk.store.quotes import Quotes
from missiondesk.strategies.legs import Leg, Legs
from missiondesk.strategies.pair_trading import PairTrading
from missiondesk.strategies.replay import ReplayTrader, replayed, replayed_instrument
from missiondesk.strategies.report import Strategy
from missiondesk.strategies.ticker import TickerStrategy
from models.account import PAPER_ACCOUNT
from models.errors import InputRefused


def replay(settings: Settings, named: Sequence[NamedMarket], options: MarketOptions) -> None:
    """The same prices give the same lines, to the last order id. Nothing is written anywhere."""
    places, fees = places_of(named), list(options.fee) or [Decimal(0)] * len(named)
    if len(fees) != len(named):
        raise InputRefused(f"expected --fee once for each of {len(named)} markets, got {len(fees)}")
    board = Board()
    trader = ReplayTrader(board, dict(zip(places, fees, strict=True)))
    rules = rules_of(options, places, fees)
    strategy: Strategy = TickerStrategy()
    if rules is not None:
        lead, cover = (
            Leg(PAPER_ACCOUNT, replayed_instrument(place, fee))
            for place, fee in zip(places, fees, strict=True)
        )
        strategy = PairTrading(rules, Legs(lead, cover), options.amount, trader, patience=options.patience)
    begin = options.begin or datetime.min.replace(tzinfo=UTC)
    quotes = Quotes(open_database(settings)).between(places, begin, options.end or datetime.now(UTC))
    silent = True
    for line in replayed(quotes, strategy, board, trader):
        silent = False
        click.echo(str(line))
    if silent:
        wanted = " and ".join(f"{place.exchange}:{place.symbol}" for place in places)
        click.echo(f"nothing of {wanted} is stored in this period; `missiondesk market feed` stores it")
