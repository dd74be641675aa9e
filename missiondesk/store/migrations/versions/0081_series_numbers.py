"""What steps remember of a series: an array of numbers instead of JSON, and the rules beside it.

States are forgotten: the next refresh calculates every series anew and changes only rows that differ.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0081"
down_revision = "0080"


def upgrade() -> None:
    op.execute("DELETE FROM series_state")
    op.drop_column("series_state", "state")
    op.add_column("series_state", sa.Column("rules", sa.Text(), nullable=False))
    op.add_column("series_state", sa.Column("numbers", postgresql.ARRAY(sa.Double()), nullable=False))


def downgrade() -> None:
    op.execute("DELETE FROM series_state")
    op.drop_column("series_state", "numbers")
    op.drop_column("series_state", "rules")
    op.add_column("series_state", sa.Column("state", postgresql.JSON(), nullable=False))
