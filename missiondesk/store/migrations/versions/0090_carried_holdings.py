"""Orders are found by what the gateway asks for, and what accounts carried over midnight is kept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0090"
down_revision = "0082"


def upgrade() -> None:
    op.create_index("ix_trade_order_rate", "trade_order", ["account", "mode", "created_at"])
    filled = sa.text("filled > 0")
    op.create_index(
        "ix_trade_order_filled", "trade_order", ["account", "mode", "updated_at"], postgresql_where=filled
    )
    op.create_index("ix_trade_order_mission", "trade_order", ["mission_id"], postgresql_where=filled)
    op.create_table(
        "carried_holding",
        sa.Column("day", sa.DateTime(timezone=True), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("exchange", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("total", sa.Numeric(), nullable=False),
        sa.Column("lowest", sa.Numeric(), nullable=False),
        sa.PrimaryKeyConstraint(
            "day", "account", "mode", "exchange", "symbol", name=op.f("pk_carried_holding")
        ),
    )


def downgrade() -> None:
    op.drop_table("carried_holding")
    op.drop_index("ix_trade_order_mission", table_name="trade_order")
    op.drop_index("ix_trade_order_filled", table_name="trade_order")
    op.drop_index("ix_trade_order_rate", table_name="trade_order")
