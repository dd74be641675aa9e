"""Flows of the user's own that the desk deploys and schedules."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0082"
down_revision = "0081"


def upgrade() -> None:
    op.create_table(
        "scheduled_flow",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("entrypoint", sa.Text(), nullable=False),
        sa.Column(
            "parameters",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("crontab", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("timezone", sa.Text(), server_default="UTC", nullable=False),
        sa.Column("queue", sa.Text(), server_default="default", nullable=False),
        sa.Column("enabled", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("timeout_seconds", sa.Float(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_scheduled_flow")),
    )
    op.execute("""
        CREATE TRIGGER touch_updated_at BEFORE UPDATE ON scheduled_flow FOR EACH ROW
            WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION touch_updated_at();
        CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON scheduled_flow FOR EACH ROW
            EXECUTE FUNCTION audit('name');

        -- The payload of a Mission is its id; this one stands for everything.
        CREATE FUNCTION notify_schedules() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_notify('missiondesk_schedule', 'all');
            RETURN NULL;
        END $$;
        CREATE TRIGGER notify_schedules AFTER INSERT OR UPDATE OR DELETE ON scheduled_flow
            FOR EACH STATEMENT EXECUTE FUNCTION notify_schedules();
    """)


def downgrade() -> None:
    op.drop_table("scheduled_flow")
    op.execute("DROP FUNCTION notify_schedules()")
