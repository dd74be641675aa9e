"""From what `missiondesk market` is told to the strategies it runs."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import assert_never

from console.verbs.market_options import MarketOptions, StrategyName
from missiondesk.feeds.board import Place
from missiondesk.market_names import NamedMarket
from missiondesk.strategies.diff import DiffRules, Triggers
from missiondesk.strategies.hedge import HedgeRules, HedgeTriggers
from missiondesk.strategies.rules import Rules
from missiondesk.strategies.spreads import Pair
from models.errors import InputRefused


def places_of(named: Sequence[NamedMarket]) -> list[Place]:
    return [Place(market.exchange, market.symbol) for market in named]


def rules_of(options: MarketOptions, places: Sequence[Place], fees: Sequence[Decimal]) -> Rules | None:
    """Of a strategy on two markets with their taker fees; None for the ticker, which has no rules.

    Raises InputRefused for triggers that cross.
    """
    match options.strategy:
        case StrategyName.TICKER:
            return None
        case StrategyName.DIFF:
            return DiffRules(pair_of(places, fees), Triggers(options.open_above, options.close_above))
        case StrategyName.HEDGE:
            try:
                return HedgeRules(places[0], places[1], HedgeTriggers(options.open_at, options.close_at))
            except ValueError as error:
                raise InputRefused(str(error)) from None
        case unexpected:
            assert_never(unexpected)


def pair_of(places: Sequence[Place], fees: Sequence[Decimal]) -> Pair:
    """Of two markets with their taker fees."""
    (a, b), (fee_a, fee_b) = places, fees
    return Pair(a, b, fee_a, fee_b)
