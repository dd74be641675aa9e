"""Market data as the desk has stored it: candles with their indicators, regimes, trading signals.

Prices and all that is calculated of them are JSON numbers: computed in double precision.
"""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, Field

from console.api.inputs import LARGEST_ID, Id, Text
from console.api.refusals import documented
from console.api.stores import DeskStores
from missiondesk.store.market import listing
from missiondesk.store.market.gaps import GapStatus
from missiondesk.store.market.listing import Markets

router = APIRouter(prefix="/api", tags=["Market data"])

Strategy = Literal["trend_follow", "mean_reversion"]
Action = Literal["buy", "sell", "hold"]
SignalStatus = Literal["active", "closed", "expired", "cancelled"]


def _markets(
    exchange: Annotated[Text | None, Query(examples=["kraken"])] = None,
    symbol: Annotated[Text | None, Query(examples=["BTC/USD"])] = None,
    interval: Annotated[Text | None, Query(examples=["1h"])] = None,
) -> Markets:
    return Markets(exchange, symbol, interval)


ChosenMarkets = Annotated[Markets, Depends(_markets)]


class SeriesAnswer(BaseModel):
    exchange: str
    symbol: str
    interval: str


class OfMarket(SeriesAnswer):
    open_time: datetime


class CandleAnswer(OfMarket):
    """A closed candle. What needs more candles than there are is null."""

    open: float
    high: float
    low: float
    close: float
    volume: float
    source: Annotated[str, Field(description="exchange, or made by us from its trades or lower candles")]
    sma_20: float | None
    ema_12: float | None
    ema_26: float | None
    rsi_14: float | None
    macd: float | None
    macd_signal: float | None
    macd_hist: float | None
    adx_14: float | None
    atr_14: float | None
    bollinger_upper: float | None
    bollinger_middle: float | None
    bollinger_lower: float | None
    volume_mean: float | None
    channel_upper: float | None
    channel_lower: float | None
    channel_width_percent: float | None
    channel_in_channel_percent: float | None
    channel_volume_ratio: float | None
    channel_direction: str | None


class GapAnswer(SeriesAnswer):
    """Absent candles between two stored ones, from the first to the last of their opening times."""

    first_open_time: datetime
    last_open_time: datetime
    status: Annotated[
        GapStatus,
        Field(
            description="new: not looked into yet, or not to its end; untraded: the exchange has no candle "
            "there; out of reach: it does not serve what is that old, or it takes more than `trade_pages`"
        ),
    ]
    looked_at: datetime | None


class RegimeOfTimeframe(OfMarket):
    """Trending or ranging, and where the close is to the EMA channel."""

    regime: Literal["trending", "ranging"]
    adx: float
    in_channel_percent: float
    direction: Literal["up", "down", "neutral"] | None
    upper: float | None
    lower: float | None
    width_percent: float | None
    volume_ratio: float | None


class RegimeAnswer(RegimeOfTimeframe):
    higher: Annotated[
        RegimeOfTimeframe | None, Field(description="The same of the next higher timeframe: 1h, 4h, 1d, 1w")
    ]


class SignalAnswer(OfMarket):
    """Prices in the quote currency, percentages of the entry; null where there is none."""

    id: int
    strategy: Strategy
    action: Action
    size: Literal["none", "small", "full"]
    confidence: Annotated[int, Field(ge=0, le=100)]
    entry: float | None
    stop: float | None
    take_profit: float | None
    risk_percent: float | None
    reward_percent: float | None
    status: SignalStatus
    exit_open_time: datetime | None
    exit_price: float | None
    pnl_percent: float | None
    reasons: list[str]
    breakdown: Annotated[list[dict[str, Any]], Field(description="Points of the confidence, each explained")]


@router.get("/market-data", responses=documented(HTTPStatus.CONFLICT))
def read_market_data(
    stores: DeskStores,
    markets: ChosenMarkets,
    limit: Annotated[int, Query(ge=1, le=listing.MOST_CANDLES, description="Candles of each series")] = 1,
) -> list[CandleAnswer]:
    """The newest closed candles of each series, newest first, with their indicators and EMA channel."""
    rows = listing.newest_candles(stores.engine, markets, limit)
    return [CandleAnswer(**row) for row in rows]


@router.get("/market-gaps")
def read_market_gaps(
    stores: DeskStores,
    markets: ChosenMarkets,
    status: GapStatus | None = None,
    limit: Annotated[int, Query(ge=1, le=listing.MOST_CANDLES)] = 100,
) -> list[GapAnswer]:
    """Candles that are missing, and why; the gap that begins last comes first."""
    return [GapAnswer(**row) for row in listing.gaps(stores.engine, markets, status, limit)]


@router.get("/market-regime")
def read_market_regime(stores: DeskStores, markets: ChosenMarkets) -> list[RegimeAnswer]:
    """The newest regime of each series, with that of the next higher timeframe."""
    return [RegimeAnswer(**row) for row in listing.newest_regimes(stores.engine, markets)]


@router.get("/trading-signals", responses=documented(HTTPStatus.NOT_FOUND))
def read_trading_signals(
    stores: DeskStores,
    markets: ChosenMarkets,
    strategy: Strategy | None = None,
    action: Action | None = None,
    status: SignalStatus | None = None,
    min_confidence: Annotated[int, Query(ge=0, le=100)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    before: Annotated[Id | None, Query(description="The id of the last signal of the page before")] = None,
) -> list[SignalAnswer]:
    """Signals, newest first."""
    asked = {"strategy": strategy, "action": action, "status": status}
    rows = listing.signals(
        stores.engine,
        markets,
        {name: value for name, value in asked.items() if value is not None},
        limit,
        least_confidence=min_confidence,
        before=before,
    )
    return [SignalAnswer(**row) for row in rows]


@router.get("/trading-signals/{id}", responses=documented(HTTPStatus.NOT_FOUND))
def read_trading_signal(id: Annotated[int, Path(ge=1, le=LARGEST_ID)], stores: DeskStores) -> SignalAnswer:
    """One signal with its reasons and the points of its confidence."""
    return SignalAnswer(**listing.signal(stores.engine, id))
