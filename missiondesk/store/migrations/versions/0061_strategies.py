"""Runs of strategies, and their orders beside those of Missions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0061"
down_revision = "0060"


def upgrade() -> None:
    op.create_table(
        "strategy_run",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("legs", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_strategy_run")),
        sa.UniqueConstraint("strategy", "mode", "legs", name=op.f("uq_strategy_run_strategy_mode_legs")),
    )
    op.add_column("trade_order", sa.Column("strategy_run_id", sa.BigInteger()))
    op.add_column("trade_order", sa.Column("sequence", sa.Integer()))
    op.create_index(
        "ix_trade_order_strategy",
        "trade_order",
        ["strategy_run_id", "sequence", "attempt"],
        unique=True,
        postgresql_where=sa.text("strategy_run_id IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_trade_order_strategy", table_name="trade_order")
    op.drop_column("trade_order", "sequence")
    op.drop_column("trade_order", "strategy_run_id")
    op.drop_table("strategy_run")
