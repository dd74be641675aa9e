"""Components: presence, commands and outcomes, mails of failures, workflows; a schema for users' data."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "component",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("model_hash", sa.Text(), server_default="", nullable=False),
        sa.Column("input_data", sa.JSON(), nullable=True),
        sa.Column("output_data", sa.JSON(), nullable=True),
        sa.Column("priority", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "registered_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("last_login_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_execution_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_component")),
        sa.UniqueConstraint("hash", name=op.f("uq_component_hash")),
    )
    op.create_index("ix_component_name", "component", ["name"], unique=False)
    op.create_table(
        "hub",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hub")),
    )
    op.create_table(
        "component_connection",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("component_id", sa.BigInteger(), nullable=False),
        sa.Column("hub_id", sa.BigInteger(), nullable=False),
        sa.Column("instance", sa.Text(), nullable=True),
        sa.Column("capacity", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("state", sa.Text(), server_default="current", nullable=False),
        sa.Column(
            "connected_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_reason", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint(
            "state IN ('current', 'draining', 'ended')", name=op.f("ck_component_connection_state")
        ),
        sa.CheckConstraint("capacity BETWEEN 1 AND 1000", name=op.f("ck_component_connection_capacity")),
        sa.ForeignKeyConstraint(
            ["component_id"],
            ["component.id"],
            name=op.f("fk_component_connection_component_id_component"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["hub_id"], ["hub.id"], name=op.f("fk_component_connection_hub_id_hub")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_component_connection")),
    )
    op.create_index(
        "ix_component_connection_hub",
        "component_connection",
        ["hub_id"],
        unique=False,
        postgresql_where=sa.text("state <> 'ended'"),
    )
    op.create_index(
        "uq_component_connection_current",
        "component_connection",
        ["component_id"],
        unique=True,
        postgresql_where=sa.text("state = 'current'"),
    )
    op.create_table(
        "component_command",
        sa.Column("id", sa.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("sequence", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("component_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), server_default="execute", nullable=False),
        sa.Column("args", sa.JSON(), nullable=True),
        sa.Column(
            "execution_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("workflow_id", sa.Text(), server_default="", nullable=False),
        sa.Column("workflow_name", sa.Text(), server_default="", nullable=False),
        sa.Column("place", sa.Text(), nullable=True),
        sa.Column("timeout_seconds", sa.Float(), server_default=sa.text("120"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("send_by", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("connection_id", sa.UUID(), nullable=True),
        sa.Column("sends", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answer_by", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), server_default="", nullable=False),
        sa.Column("message", sa.Text(), server_default="", nullable=False),
        sa.Column("outputs", sa.JSON(), nullable=True),
        sa.CheckConstraint("kind IN ('execute', 'message')", name=op.f("ck_component_command_kind")),
        sa.CheckConstraint(
            "status IN ('waiting', 'sent', 'succeeded', 'failed', 'timeout', 'unknown', 'offline')",
            name=op.f("ck_component_command_status"),
        ),
        sa.ForeignKeyConstraint(
            ["component_id"],
            ["component.id"],
            name=op.f("fk_component_command_component_id_component"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_component_command")),
    )
    op.create_index("ix_component_command_finished", "component_command", ["finished_at"], unique=False)
    op.create_index(
        "ix_component_command_open",
        "component_command",
        ["component_id", "sequence"],
        unique=False,
        postgresql_where=sa.text("status IN ('waiting', 'sent')"),
    )
    op.create_index(
        "ix_component_command_place",
        "component_command",
        ["place", "sequence"],
        unique=False,
        postgresql_where=sa.text("place IS NOT NULL"),
    )
    op.create_index(
        "uq_component_command_place_open",
        "component_command",
        ["place"],
        unique=True,
        postgresql_where=sa.text("status IN ('waiting', 'sent')"),
    )
    op.create_table(
        "component_mail",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("next_try_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("problem", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_component_mail")),
    )
    op.create_index(
        "ix_component_mail_unsent",
        "component_mail",
        ["next_try_at"],
        unique=False,
        postgresql_where=sa.text("sent_at IS NULL"),
    )
    op.create_table(
        "workflow",
        sa.Column("mission_id", sa.BigInteger(), nullable=False),
        sa.Column("workflow_id", sa.Text(), nullable=False),
        sa.Column("cron_lines", sa.JSON(), nullable=False),
        sa.Column("shift_time", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("shift_unit", sa.Text(), server_default="s", nullable=False),
        sa.Column("timezone", sa.Text(), server_default="UTC", nullable=False),
        sa.Column("dated", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("modules", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("shift_unit IN ('s', 'min', 'h', 'D')", name=op.f("ck_workflow_shift_unit")),
        sa.ForeignKeyConstraint(
            ["mission_id"], ["mission.id"], name=op.f("fk_workflow_mission_id_mission"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("mission_id", name=op.f("pk_workflow")),
        sa.UniqueConstraint("workflow_id", name=op.f("uq_workflow_workflow_id")),
    )

    # Tables of the users' own, which components read from and write to.
    op.execute("CREATE SCHEMA data")
    for statement in (NEWS_OF_COMMANDS, MAILS):
        op.execute(statement)


# `missiondesk_command` names a component that may be sent something, `missiondesk_outcome` an ended command.
NEWS_OF_COMMANDS = """
CREATE FUNCTION notify_new_commands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('missiondesk_command', component_id::text)
    FROM (SELECT DISTINCT component_id FROM new_row) AS addressed;
    RETURN NULL;
END $$;

CREATE FUNCTION notify_changed_commands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('missiondesk_outcome', new_row.id::text)
    FROM new_row JOIN old_row USING (id)
    WHERE new_row.status <> old_row.status AND new_row.status NOT IN ('waiting', 'sent');
    PERFORM pg_notify('missiondesk_command', component_id::text)
    FROM (
        SELECT DISTINCT new_row.component_id FROM new_row JOIN old_row USING (id)
        WHERE new_row.status <> old_row.status AND new_row.status <> 'sent'
    ) AS freed;
    RETURN NULL;
END $$;

CREATE TRIGGER notify_new AFTER INSERT ON component_command REFERENCING NEW TABLE AS new_row
    FOR EACH STATEMENT EXECUTE FUNCTION notify_new_commands();
CREATE TRIGGER notify_changed AFTER UPDATE ON component_command
    REFERENCING OLD TABLE AS old_row NEW TABLE AS new_row
    FOR EACH STATEMENT EXECUTE FUNCTION notify_changed_commands();
"""

MAILS = """
CREATE FUNCTION mail_failed_command() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    name text := (SELECT component.name FROM component WHERE id = NEW.component_id);
BEGIN
    INSERT INTO component_mail (reason, subject, body) VALUES (
        NEW.status,
        concat_ws(': ', nullif(NEW.workflow_name, ''), name || ' ' || NEW.status),
        concat_ws(E'\\n',
            'component: ' || name,
            'workflow: ' || NEW.workflow_name || ' (' || NEW.workflow_id || ')',
            'execution: ' || NEW.id,
            'execution time: ' || NEW.execution_time,
            'outcome: ' || NEW.status,
            'error: ' || NEW.error,
            'message: ' || NEW.message
        )
    );
    RETURN NULL;
END $$;

CREATE TRIGGER mail_failed AFTER UPDATE ON component_command FOR EACH ROW
    WHEN (OLD.status <> NEW.status AND NEW.status IN ('failed', 'timeout', 'unknown', 'offline'))
    EXECUTE FUNCTION mail_failed_command();
"""
