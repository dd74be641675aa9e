"""The SQLAlchemy rows of market data: candles, what is calculated of them, and how far each step has come.

Prices, volumes and everything calculated are double precision: that is what indicators are computed in, and
what makes a continued value comparable to the bit. Money of orders stays numeric, in `models.tables`.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from models.tables import metadata

# One market in one interval. Its row is what a writer of its candles or values locks.
series = Table(
    "series",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("exchange", Text, nullable=False),
    Column("symbol", Text, nullable=False),
    Column("interval", Text, nullable=False),
    UniqueConstraint("exchange", "symbol", "interval"),
)


# No foreign keys: whoever writes here holds the lock of the series' row, and checking them for every candle
# costs more than writing it.
def _of_series() -> Column[int]:
    return Column("series_id", Integer, primary_key=True, autoincrement=False)


def _open_time() -> Column[datetime]:
    return Column("open_time", DateTime(timezone=True), primary_key=True)


def _values(*names: str, null: bool = False) -> list[Column[float]]:
    return [Column(name, Double, nullable=null) for name in names]


# Closed candles only. `source` says who made it: the exchange, or we from its trades or from lower candles.
candle = Table(
    "candle",
    metadata,
    _of_series(),
    _open_time(),
    *_values("open", "high", "low", "close", "volume"),
    Column("source", Text, nullable=False),
    CheckConstraint("source IN ('exchange','trades','lower')", name="source"),
)

# Stretches of absent candles between two stored ones, and why they are absent still.
candle_gap = Table(
    "candle_gap",
    metadata,
    _of_series(),
    Column("first_open_time", DateTime(timezone=True), primary_key=True),
    Column("last_open_time", DateTime(timezone=True), nullable=False),
    Column("status", Text, nullable=False, server_default="new"),
    Column("looked_at", DateTime(timezone=True)),
    CheckConstraint("status IN ('new','untraded','out of reach')", name="status"),
)

# NULL where there are too few candles for a reliable value.
indicator = Table(
    "indicator",
    metadata,
    _of_series(),
    _open_time(),
    *_values(
        "sma_20",
        "ema_12",
        "ema_26",
        "rsi_14",
        "macd",
        "macd_signal",
        "macd_hist",
        "adx_14",
        "atr_14",
        "bollinger_upper",
        "bollinger_middle",
        "bollinger_lower",
        "volume_mean",
        null=True,
    ),
)

ema_channel = Table(
    "ema_channel",
    metadata,
    _of_series(),
    _open_time(),
    *_values("upper", "lower", "width_percent", "in_channel_percent"),
    *_values("volume_ratio", null=True),
    Column("direction", Text, nullable=False),
    CheckConstraint("direction IN ('up','down','neutral')", name="direction"),
)

market_regime = Table(
    "market_regime",
    metadata,
    _of_series(),
    _open_time(),
    Column("regime", Text, nullable=False),
    *_values("adx", "in_channel_percent"),
    CheckConstraint("regime IN ('trending','ranging')", name="regime"),
)

trading_signal = Table(
    "trading_signal",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("series_id", Integer, nullable=False),
    Column("open_time", DateTime(timezone=True), nullable=False),
    Column("strategy", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("size", Text, nullable=False),
    Column("confidence", Integer, nullable=False),
    *_values("entry", "stop", "take_profit", "risk_percent", "reward_percent", null=True),
    # Active until a later candle's signal differs; the candle and the close that ended it.
    Column("status", Text, nullable=False),
    Column("exit_open_time", DateTime(timezone=True)),
    *_values("exit_price", "pnl_percent", null=True),
    Column("reasons", JSONB, nullable=False),
    Column("breakdown", JSONB, nullable=False),
    UniqueConstraint("series_id", "open_time", "strategy"),
    Index("ix_trading_signal_active", "series_id", postgresql_where=text("status = 'active'")),
    CheckConstraint("strategy IN ('trend_follow','mean_reversion')", name="strategy"),
    CheckConstraint("action IN ('buy','sell','hold')", name="action"),
    CheckConstraint("size IN ('none','small','full')", name="size"),
    CheckConstraint("status IN ('active','closed','expired','cancelled')", name="status"),
    CheckConstraint("confidence BETWEEN 0 AND 100", name="confidence"),
    CheckConstraint("action <> 'hold' OR pnl_percent IS NULL", name="hold_has_no_pnl"),
)

# How far a step has come in a series by which rules, and the numbers it needs to go on from there.
series_state = Table(
    "series_state",
    metadata,
    _of_series(),
    Column("step", Text, primary_key=True),
    Column("last_open_time", DateTime(timezone=True), nullable=False),
    Column("rules", Text, nullable=False),
    Column("numbers", ARRAY(Double), nullable=False),
)

# One row per step of a refresh: later steps of the hour wait for it, and the API reads its report.
refresh_step = Table(
    "refresh_step",
    metadata,
    Column("run", Text, primary_key=True),
    Column("step", Text, primary_key=True),
    Column("hour", DateTime(timezone=True), nullable=False),
    Column("status", Text, nullable=False),
    Column("started_at", DateTime(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
    Column("finished_at", DateTime(timezone=True)),
    Column("report", JSONB),
    Column("error", Text),
    CheckConstraint("status IN ('running','succeeded','failed')", name="status"),
    Index("ix_refresh_step_hour", "hour", "step"),
)

# When the next request to an exchange may be sent, whichever process sends it.
request_pace = Table(
    "request_pace",
    metadata,
    Column("exchange", Text, primary_key=True),
    Column("next_at", DateTime(timezone=True), nullable=False),
)
