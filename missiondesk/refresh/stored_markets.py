"""What templates see of markets: the desk's own tables where they are fresh, else the exchange."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy import Engine, select

from missiondesk.market.candles import (
    Candles,
    expected_last_open,
    timeframe_milliseconds,
    to_datetime,
    to_milliseconds,
)
from missiondesk.market.regime import Regime
from missiondesk.market.signals import Action
from missiondesk.store.market.candles import newest_candles
from missiondesk.store.market.series import Series
from missiondesk.templates.context import Markets
from missiondesk.templates.market_state import StoredState
from models.market import Ticker
from models.market_tables import candle, market_regime, series, trading_signal


class StoredMarkets:
    """The Markets port over `live` and the tables. A table is fresh when it has the newest closed candle."""

    def __init__(self, engine: Engine, live: Markets) -> None:
        self._engine, self._live = engine, live

    def closed_candles(
        self, exchange: str, symbol: str, timeframe: str, count: int, now: datetime
    ) -> Candles:
        """See the port: from the table when it holds the newest closed candle and as many before it."""
        found = self._series(exchange, symbol, timeframe)
        if found is not None and self._is_fresh(found, now):
            closed = to_milliseconds(now) - timeframe_milliseconds(timeframe)
            with self._engine.connect() as connection:
                stored = newest_candles(connection, found, count, closed)
            if len(stored) >= count:
                return stored
        return self._live.closed_candles(exchange, symbol, timeframe, count, now)

    def latest_price(self, exchange: str, symbol: str, now: datetime) -> tuple[Decimal, str]:
        return self._live.latest_price(exchange, symbol, now)

    def ticker(self, exchange: str, symbol: str) -> Ticker:
        return self._live.ticker(exchange, symbol)

    def stored_state(self, exchange: str, symbol: str, timeframe: str, now: datetime) -> StoredState | None:
        """The newest stored regime and signal that were known at `now`; None where there is none."""
        found = self._series(exchange, symbol, timeframe)
        if found is None:
            return None
        signal = trading_signal.c
        query = (
            select(market_regime, signal.action, signal.confidence, signal.reasons)
            .join(
                trading_signal,
                (signal.series_id == market_regime.c.series_id)
                & (signal.open_time == market_regime.c.open_time),
            )
            .where(
                market_regime.c.series_id == found.id,
                market_regime.c.open_time
                <= to_datetime(to_milliseconds(now) - timeframe_milliseconds(timeframe)),
            )
            .order_by(market_regime.c.open_time.desc())
            .limit(1)
        )
        with self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        opened = to_milliseconds(row.open_time)
        return StoredState(
            opened=row.open_time,
            fresh=opened == expected_last_open(now, timeframe, opened),
            regime=Regime(row.regime),
            adx=row.adx,
            in_channel_percent=row.in_channel_percent,
            action=Action(row.action),
            confidence=row.confidence,
            reason=row.reasons[0],
        )

    def _series(self, exchange: str, symbol: str, timeframe: str) -> Series | None:
        wanted = select(series).where(
            series.c.exchange == exchange, series.c.symbol == symbol, series.c.interval == timeframe
        )
        with self._engine.connect() as connection:
            row = connection.execute(wanted).one_or_none()
        return None if row is None else Series(row.id, row.exchange, row.symbol, row.interval)

    def _is_fresh(self, of: Series, now: datetime) -> bool:
        newest = (
            select(candle.c.open_time)
            .where(candle.c.series_id == of.id, candle.c.open_time <= now)
            .order_by(candle.c.open_time.desc())
            .limit(1)
        )
        with self._engine.connect() as connection:
            found = connection.scalar(newest)
        if found is None:
            return False
        opened = to_milliseconds(found)
        return opened >= expected_last_open(now, of.interval, opened)
