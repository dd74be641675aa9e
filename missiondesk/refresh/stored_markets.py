"""What templates see of markets: the desk's own tables where they are fresh, else the exchange."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from sqlalchemy import ColumnElement, Engine, Integer, Table, and_, extract, func, select

from missiondesk.market.candles import (
    Candles,
    expected_last_open,
    timeframe_milliseconds,
    to_milliseconds,
)
from missiondesk.market.indicators import Indicator
from missiondesk.market.regime import Regime, RegimeSettings
from missiondesk.market.signal_settings import SignalSettings
from missiondesk.market.signals import Action
from missiondesk.refresh.settings import RefreshSettings
from missiondesk.store.market.candles import newest_candles
from missiondesk.store.market.series import Series
from missiondesk.templates.context import Markets
from missiondesk.templates.source import Source
from missiondesk.templates.stored import StoredState, StoredValues, stored_columns
from models.market import Ticker
from models.market_tables import (
    candle,
    candle_gap,
    ema_channel,
    indicator,
    market_regime,
    series,
    trading_signal,
)

_COLUMNS: Final[Mapping[str, ColumnElement[float]]] = {
    column.name: column for table in (indicator, ema_channel, candle) for column in table.c
}


class StoredMarkets:
    """The Markets port over `live` and the tables. A table is fresh when it has the newest closed candle.

    settings: by which thresholds the tables are filled.
    """

    def __init__(
        self, engine: Engine, live: Markets, settings: Callable[[], RefreshSettings] = RefreshSettings
    ) -> None:
        self._engine, self._live, self._settings = engine, live, settings
        self._known: dict[Source, Series] = {}
        self._absent: dict[Source, datetime] = {}

    def closed_candles(
        self, exchange: str, symbol: str, timeframe: str, count: int, now: datetime
    ) -> Candles:
        """See the port: from the table when it holds the newest closed candle and as many before it."""
        found = self._series(Source(exchange, symbol, timeframe), now)
        if found is not None:
            closed = to_milliseconds(_last_closed(found, now))
            with self._engine.connect() as connection:
                stored = newest_candles(connection, found, count, closed)
            if len(stored) >= count and _is_fresh(found, int(stored.open_time[-1]), now):
                return stored
        return self._live.closed_candles(exchange, symbol, timeframe, count, now)

    def latest_price(self, exchange: str, symbol: str, now: datetime) -> tuple[Decimal, str]:
        return self._live.latest_price(exchange, symbol, now)

    def ticker(self, exchange: str, symbol: str) -> Ticker:
        return self._live.ticker(exchange, symbol)

    def thresholds(self) -> tuple[RegimeSettings, SignalSettings]:
        """Those by which the tables' regimes and signals are decided."""
        settings = self._settings()
        return settings.regime, settings.signals

    def stored_state(self, source: Source, within: int, now: datetime) -> StoredState | None:
        """See the port."""
        found = self._series(source, now)
        if found is None:
            return None
        signal = trading_signal.c
        query = (
            select(
                market_regime,
                signal.action,
                signal.confidence,
                signal.reasons,
                signal.status,
                _missing(found, within, now),
            )
            .join(trading_signal, _same_row(trading_signal, market_regime))
            .where(
                market_regime.c.series_id == found.id,
                market_regime.c.open_time <= _last_closed(found, now),
            )
            .order_by(
                market_regime.c.open_time.desc(),
                (signal.status == "active").desc(),
                signal.status == "cancelled",
                signal.id.desc(),
            )
            .limit(1)
        )
        with self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        return StoredState(
            opened=row.open_time,
            missing=row.missing,
            fresh=_is_fresh(found, to_milliseconds(row.open_time), now),
            regime=Regime(row.regime),
            adx=row.adx,
            in_channel_percent=row.in_channel_percent,
            action=Action(row.action),
            confidence=row.confidence,
            reason=row.reasons[0],
            cancelled=row.status == "cancelled",
        )

    def stored_values(
        self, source: Source, specs: Collection[Indicator], count: int, within: int, now: datetime
    ) -> StoredValues | None:
        """See the port."""
        found = self._series(source, now)
        if found is None:
            return None
        wanted = list(specs)
        query = (
            select(
                candle.c.open_time,
                _missing(found, within, now),
                *(_COLUMNS[stored_columns()[spec]] for spec in wanted),
            )
            .select_from(candle)
            .outerjoin(indicator, _same_row(indicator, candle))
            .outerjoin(ema_channel, _same_row(ema_channel, candle))
            .where(candle.c.series_id == found.id, candle.c.open_time <= _last_closed(found, now))
            .order_by(candle.c.open_time.desc())
            .limit(count)
        )
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        if not rows:
            return None
        return StoredValues(
            opened=rows[0].open_time,
            missing=rows[0].missing,
            fresh=_is_fresh(found, to_milliseconds(rows[0].open_time), now),
            rows=tuple(
                {spec: value for spec, value in zip(wanted, row[2:], strict=True) if value is not None}
                for row in rows
            ),
        )

    def _series(self, source: Source, now: datetime) -> Series | None:
        """Looked up once where there is one, else once for each `now`."""
        if source in self._known or self._absent.get(source) == now:
            return self._known.get(source)
        wanted = select(series).where(
            series.c.exchange == source.exchange,
            series.c.symbol == source.symbol,
            series.c.interval == source.timeframe,
        )
        with self._engine.connect() as connection:
            row = connection.execute(wanted).one_or_none()
        if row is None:
            self._absent[source] = now
            return None
        self._known[source] = Series(row.id, row.exchange, row.symbol, row.interval)
        return self._known[source]


def _same_row(of: Table, other: Table) -> ColumnElement[bool]:
    return and_(of.c.series_id == other.c.series_id, of.c.open_time == other.c.open_time)


def _missing(of: Series, within: int, now: datetime) -> ColumnElement[int]:
    """How many of the newest `within` candles that are closed at `now` are absent between stored ones."""
    seconds, gap = timeframe_milliseconds(of.interval) // 1000, candle_gap.c
    newest = _last_closed(of, now)
    since = newest - timedelta(seconds=within * seconds)
    in_all = 1 + extract("epoch", gap.last_open_time - gap.first_open_time) / seconds
    recent = func.ceil(extract("epoch", gap.last_open_time - since) / seconds)
    return (
        select(func.coalesce(func.sum(func.least(in_all, recent)), 0).cast(Integer))
        .where(gap.series_id == of.id, gap.last_open_time > since, gap.first_open_time <= newest)
        .scalar_subquery()
        .label("missing")
    )


def _last_closed(of: Series, now: datetime) -> datetime:
    """The latest time at which a candle opened that is closed at `now`."""
    return now - timedelta(milliseconds=timeframe_milliseconds(of.interval))


def _is_fresh(of: Series, opened: int, now: datetime) -> bool:
    return opened == expected_last_open(now, of.interval, opened)
