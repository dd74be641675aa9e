"""Market data: candles, what is calculated of them, and how far each step of a refresh has come."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "candle",
        sa.Column("series_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("open_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("open", sa.Double(), nullable=False),
        sa.Column("high", sa.Double(), nullable=False),
        sa.Column("low", sa.Double(), nullable=False),
        sa.Column("close", sa.Double(), nullable=False),
        sa.Column("volume", sa.Double(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.CheckConstraint("source IN ('exchange','trades','lower')", name=op.f("ck_candle_source")),
        sa.PrimaryKeyConstraint("series_id", "open_time", name=op.f("pk_candle")),
    )
    op.create_table(
        "candle_gap",
        sa.Column("series_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("first_open_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_open_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Text(), server_default="new", nullable=False),
        sa.Column("looked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("status IN ('new','untraded','out of reach')", name=op.f("ck_candle_gap_status")),
        sa.PrimaryKeyConstraint("series_id", "first_open_time", name=op.f("pk_candle_gap")),
    )
    op.create_table(
        "ema_channel",
        sa.Column("series_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("open_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("upper", sa.Double(), nullable=False),
        sa.Column("lower", sa.Double(), nullable=False),
        sa.Column("width_percent", sa.Double(), nullable=False),
        sa.Column("in_channel_percent", sa.Double(), nullable=False),
        sa.Column("volume_ratio", sa.Double(), nullable=True),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.CheckConstraint("direction IN ('up','down','neutral')", name=op.f("ck_ema_channel_direction")),
        sa.PrimaryKeyConstraint("series_id", "open_time", name=op.f("pk_ema_channel")),
    )
    op.create_table(
        "indicator",
        sa.Column("series_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("open_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sma_20", sa.Double(), nullable=True),
        sa.Column("ema_12", sa.Double(), nullable=True),
        sa.Column("ema_26", sa.Double(), nullable=True),
        sa.Column("rsi_14", sa.Double(), nullable=True),
        sa.Column("macd", sa.Double(), nullable=True),
        sa.Column("macd_signal", sa.Double(), nullable=True),
        sa.Column("macd_hist", sa.Double(), nullable=True),
        sa.Column("adx_14", sa.Double(), nullable=True),
        sa.Column("atr_14", sa.Double(), nullable=True),
        sa.Column("bollinger_upper", sa.Double(), nullable=True),
        sa.Column("bollinger_middle", sa.Double(), nullable=True),
        sa.Column("bollinger_lower", sa.Double(), nullable=True),
        sa.Column("volume_mean", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("series_id", "open_time", name=op.f("pk_indicator")),
    )
    op.create_table(
        "market_regime",
        sa.Column("series_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("open_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("regime", sa.Text(), nullable=False),
        sa.Column("adx", sa.Double(), nullable=False),
        sa.Column("in_channel_percent", sa.Double(), nullable=False),
        sa.CheckConstraint("regime IN ('trending','ranging')", name=op.f("ck_market_regime_regime")),
        sa.PrimaryKeyConstraint("series_id", "open_time", name=op.f("pk_market_regime")),
    )
    op.create_table(
        "refresh_step",
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column(
            "started_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("report", postgresql.JSONB(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint("status IN ('running','succeeded','failed')", name=op.f("ck_refresh_step_status")),
        sa.PrimaryKeyConstraint("run", "step", name=op.f("pk_refresh_step")),
    )
    op.create_index("ix_refresh_step_hour", "refresh_step", ["hour", "step"])
    op.create_table(
        "request_pace",
        sa.Column("exchange", sa.Text(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("exchange", name=op.f("pk_request_pace")),
    )
    op.create_table(
        "series",
        sa.Column("id", sa.Integer(), sa.Identity(), nullable=False),
        sa.Column("exchange", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("interval", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_series")),
        sa.UniqueConstraint(
            "exchange", "symbol", "interval", name=op.f("uq_series_exchange_symbol_interval")
        ),
    )
    op.create_table(
        "series_state",
        sa.Column("series_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("last_open_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", postgresql.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("series_id", "step", name=op.f("pk_series_state")),
    )
    op.create_table(
        "trading_signal",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("series_id", sa.Integer(), nullable=False),
        sa.Column("open_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("size", sa.Text(), nullable=False),
        sa.Column("confidence", sa.Integer(), nullable=False),
        sa.Column("entry", sa.Double(), nullable=True),
        sa.Column("stop", sa.Double(), nullable=True),
        sa.Column("take_profit", sa.Double(), nullable=True),
        sa.Column("risk_percent", sa.Double(), nullable=True),
        sa.Column("reward_percent", sa.Double(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("exit_open_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("exit_price", sa.Double(), nullable=True),
        sa.Column("pnl_percent", sa.Double(), nullable=True),
        sa.Column("reasons", postgresql.JSONB(), nullable=False),
        sa.Column("breakdown", postgresql.JSONB(), nullable=False),
        sa.CheckConstraint(
            "action <> 'hold' OR pnl_percent IS NULL", name=op.f("ck_trading_signal_hold_has_no_pnl")
        ),
        sa.CheckConstraint("action IN ('buy','sell','hold')", name=op.f("ck_trading_signal_action")),
        sa.CheckConstraint("size IN ('none','small','full')", name=op.f("ck_trading_signal_size")),
        sa.CheckConstraint(
            "status IN ('active','closed','expired','cancelled')", name=op.f("ck_trading_signal_status")
        ),
        sa.CheckConstraint(
            "strategy IN ('trend_follow','mean_reversion')", name=op.f("ck_trading_signal_strategy")
        ),
        sa.CheckConstraint("confidence BETWEEN 0 AND 100", name=op.f("ck_trading_signal_confidence")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trading_signal")),
        sa.UniqueConstraint(
            "series_id", "open_time", "strategy", name=op.f("uq_trading_signal_series_id_open_time_strategy")
        ),
    )
    op.create_index(
        "ix_trading_signal_active",
        "trading_signal",
        ["series_id"],
        postgresql_where=sa.text("status = 'active'"),
    )
