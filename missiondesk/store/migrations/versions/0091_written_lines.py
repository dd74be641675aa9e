"""Which dated lines the desk wrote into a Mission, so that a user's own ones are not written over."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0091"
down_revision = "0090"


def upgrade() -> None:
    op.add_column("workflow", sa.Column("written_lines", sa.JSON(), nullable=True))
    op.execute(
        "UPDATE workflow SET written_lines = mission.crontab "
        "FROM mission WHERE mission.id = workflow.mission_id AND dated"
    )


def downgrade() -> None:
    op.drop_column("workflow", "written_lines")
