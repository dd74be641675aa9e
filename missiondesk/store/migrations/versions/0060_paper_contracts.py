"""Paper positions in contracts; each paper order says what is set aside for it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0060"
down_revision = "0050"


def upgrade() -> None:
    op.create_table(
        "paper_position",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("exchange", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("settle", sa.Text(), nullable=False),
        sa.Column("amount", sa.Numeric(), nullable=False),
        sa.Column("entry_price", sa.Numeric(), nullable=False),
        sa.Column("margin", sa.Numeric(), nullable=False),
        sa.CheckConstraint(
            "amount <> 0 AND entry_price > 0 AND margin >= 0", name=op.f("ck_paper_position_open")
        ),
        sa.PrimaryKeyConstraint("account", "exchange", "symbol", name=op.f("pk_paper_position")),
    )
    for name, default in (("leverage", "1"), ("held", "0"), ("settled", "0")):
        op.add_column(
            "paper_order", sa.Column(name, sa.Numeric(), server_default=sa.text(default), nullable=False)
        )
    op.add_column(
        "paper_order", sa.Column("reduce_only", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.execute(
        """
        UPDATE paper_order SET held = (amount - filled)
            * CASE side WHEN 'sell' THEN 1 ELSE price * (1 + fee_rate) END
        WHERE status = 'open'
        """
    )


def downgrade() -> None:
    op.drop_table("paper_position")
    for name in ("leverage", "held", "settled", "reduce_only"):
        op.drop_column("paper_order", name)
