"""When what a component reported was written back, so that it is once, however often its tick is repeated."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0071"
down_revision = "0070"


def upgrade() -> None:
    op.add_column(
        "component_command", sa.Column("outputs_written_at", sa.DateTime(timezone=True), nullable=True)
    )
    # By now the ticks that these were for have written them.
    op.execute("UPDATE component_command SET outputs_written_at = finished_at WHERE outputs IS NOT NULL")
