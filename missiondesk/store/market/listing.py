"""Market data as people and programs look at it: the newest rows first, each with its market's names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Engine, and_, func, literal, select, true, tuple_

from missiondesk.store.market.gaps import GapStatus
from models.errors import InputRefused, UnknownName
from models.market_tables import (
    candle,
    candle_gap,
    ema_channel,
    indicator,
    market_regime,
    series,
    trading_signal,
)

Row = Mapping[str, Any]

MOST_CANDLES: Final = 10_000
_OF_ROW: Final = ("series_id", "open_time")
_NAMES: Final = (series.c.exchange, series.c.symbol, series.c.interval)
_BESIDE_REGIME: Final = ("upper", "lower", "width_percent", "volume_ratio", "direction")


@dataclass(frozen=True)
class Markets:
    """Which series to look at; None means all."""

    exchange: str | None = None
    symbol: str | None = None
    interval: str | None = None

    @property
    def chosen(self) -> ColumnElement[bool]:
        wanted = {"exchange": self.exchange, "symbol": self.symbol, "interval": self.interval}
        return and_(true(), *(series.c[name] == value for name, value in wanted.items() if value is not None))


def newest_candles(engine: Engine, markets: Markets, of_each: int) -> Sequence[Row]:
    """The newest candles of each series with the values calculated of them, None where there are none yet.

    By series, newest first. Raises InputRefused when these could be more than MOST_CANDLES.
    """
    newest = (
        select(candle)
        .where(candle.c.series_id == series.c.id)
        .order_by(candle.c.open_time.desc())
        .limit(of_each)
        .lateral("newest")
    )
    values = [*_values(newest), *_values(indicator), *_values(ema_channel, "channel_")]
    query = (
        select(*_NAMES, newest.c.open_time, *values)
        .select_from(series.join(newest, true()))
        .outerjoin(indicator, _same_row(indicator, newest))
        .outerjoin(ema_channel, _same_row(ema_channel, newest))
        .where(markets.chosen)
        .order_by(*_NAMES, newest.c.open_time.desc())
    )
    with engine.connect() as connection:
        matching = select(func.count()).select_from(series).where(markets.chosen)
        count = connection.execute(matching).scalar_one()
        if count * of_each > MOST_CANDLES:
            raise InputRefused(
                f"expected at most {MOST_CANDLES} candles to be asked for, got {of_each} of each of {count} "
                "series: name the symbol and the interval, or ask for fewer"
            )
        return [row._asdict() for row in connection.execute(query)]


def newest_regimes(engine: Engine, markets: Markets) -> Sequence[Row]:
    """The newest regime of each series with its channel, and in `higher` that of the higher timeframe."""
    # Here, for TA-Lib and pandas come with it, and no other listing needs them.
    from missiondesk.market.regime import HIGHER_TIMEFRAME

    newest = (
        select(market_regime)
        .where(market_regime.c.series_id == series.c.id)
        .order_by(market_regime.c.open_time.desc())
        .limit(1)
        .lateral("newest")
    )
    beside = [ema_channel.c[name] for name in _BESIDE_REGIME]
    # Whatever the interval asked for: the higher timeframe is a series of its own.
    query = (
        select(*_NAMES, newest.c.open_time, *_values(newest), *beside)
        .select_from(series.join(newest, true()))
        .outerjoin(ema_channel, _same_row(ema_channel, newest))
        .where(Markets(markets.exchange, markets.symbol).chosen)
        .order_by(*_NAMES)
    )
    with engine.connect() as connection:
        found = [row._asdict() for row in connection.execute(query)]
    by_names = {(row["exchange"], row["symbol"], row["interval"]): row for row in found}

    def higher(row: Row) -> Row | None:
        return by_names.get((row["exchange"], row["symbol"], HIGHER_TIMEFRAME.get(row["interval"])))

    chosen = [row for row in found if markets.interval in (None, row["interval"])]
    return [{**row, "higher": higher(row)} for row in chosen]


def gaps(engine: Engine, markets: Markets, status: GapStatus | None, size: int) -> Sequence[Row]:
    """Stretches of absent candles between stored ones, the one that begins last first."""
    query = (
        select(*_NAMES, *(column for column in candle_gap.c if column.name != "series_id"))
        .join_from(candle_gap, series, series.c.id == candle_gap.c.series_id)
        .where(markets.chosen, true() if status is None else candle_gap.c.status == status)
        .order_by(candle_gap.c.first_open_time.desc(), *_NAMES)
        .limit(size)
    )
    with engine.connect() as connection:
        return [row._asdict() for row in connection.execute(query)]


def signals(
    engine: Engine,
    markets: Markets,
    fields: Mapping[str, str],
    size: int,
    *,
    least_confidence: int = 0,
    before: int | None = None,
) -> Sequence[Row]:
    """Stored signals whose columns have these values, newest first; `before` (an id) goes on after that one.

    Raises UnknownName for a `before` that does not exist.
    """
    query = (
        _signals()
        .where(markets.chosen, trading_signal.c.confidence >= least_confidence)
        .where(*(trading_signal.c[name] == value for name, value in fields.items()))
        .order_by(trading_signal.c.open_time.desc(), trading_signal.c.id.desc())
        .limit(size)
    )
    if before is not None:
        last = tuple_(literal(signal(engine, before)["open_time"]), literal(before))
        query = query.where(tuple_(trading_signal.c.open_time, trading_signal.c.id) < last)
    with engine.connect() as connection:
        return [row._asdict() for row in connection.execute(query)]


def signal(engine: Engine, signal_id: int) -> Row:
    """Raises UnknownName, which names the newest ones."""
    with engine.connect() as connection:
        found = connection.execute(_signals().where(trading_signal.c.id == signal_id)).one_or_none()
        if found is None:
            newest = select(trading_signal.c.id).order_by(trading_signal.c.id.desc()).limit(30)
            raise UnknownName("signal", signal_id, connection.scalars(newest))
        return found._asdict()


def _signals() -> Any:
    columns = [column for column in trading_signal.c if column.name != "series_id"]
    of_signal = series.c.id == trading_signal.c.series_id
    return select(*_NAMES, *columns).join_from(trading_signal, series, of_signal)


def _values(of: Any, prefix: str = "") -> list[ColumnElement[Any]]:
    return [column.label(prefix + column.name) for column in of.c if column.name not in _OF_ROW]


def _same_row(of: Any, other: Any) -> ColumnElement[bool]:
    return and_(*(of.c[name] == other.c[name] for name in _OF_ROW))
