"""The SQLAlchemy rows of components: presence, commands with their outcomes, and workflows."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import UUID

from models.tables import metadata


def _identity() -> Column[int]:
    return Column("id", BigInteger, Identity(), primary_key=True)


def _moment(name: str, *, null: bool = False) -> Column[datetime]:
    return Column(name, DateTime(timezone=True), nullable=null, server_default=None if null else func.now())


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False, server_default="")


# Values that users and modules give are json and not jsonb, which refuses some strings that JSON allows.
component = Table(
    "component",
    metadata,
    _identity(),
    Column("hash", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    _text("description"),
    _text("model_hash"),
    Column("input_data", JSON),
    Column("output_data", JSON),
    Column("priority", Integer, nullable=False, server_default=text("0")),
    _moment("registered_at"),
    _moment("last_login_at", null=True),
    _moment("last_seen_at", null=True),
    _moment("last_execution_at", null=True),
    Index("ix_component_name", "name"),
)

# A process that serves components. It lives as long as its session holds the advisory lock of its id.
hub = Table(
    "hub",
    metadata,
    _identity(),
    _moment("started_at"),
    _moment("ended_at", null=True),
)

component_connection = Table(
    "component_connection",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("component_id", BigInteger, ForeignKey("component.id", ondelete="CASCADE"), nullable=False),
    Column("hub_id", BigInteger, ForeignKey("hub.id"), nullable=False),
    # One run of a component's program that recognises a command it was sent twice; null for other programs.
    Column("instance", Text),
    Column("capacity", Integer, nullable=False, server_default=text("1")),
    Column("state", Text, nullable=False, server_default="current"),
    _moment("connected_at"),
    _moment("ended_at", null=True),
    _text("end_reason"),
    # current: takes new commands. draining: replaced, kept until its command is answered. ended: gone.
    CheckConstraint("state IN ('current', 'draining', 'ended')", name="state"),
    CheckConstraint("capacity BETWEEN 1 AND 1000", name="capacity"),
    Index(
        "uq_component_connection_current",
        "component_id",
        unique=True,
        postgresql_where=text("state = 'current'"),
    ),
    Index("ix_component_connection_hub", "hub_id", postgresql_where=text("state <> 'ended'")),
)

component_command = Table(
    "component_command",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True, server_default=text("gen_random_uuid()")),
    # The order in which commands were given.
    Column("sequence", BigInteger, Identity(), nullable=False),
    Column("component_id", BigInteger, ForeignKey("component.id", ondelete="CASCADE"), nullable=False),
    Column("kind", Text, nullable=False, server_default="execute"),
    Column("args", JSON),
    _moment("execution_time"),
    _text("workflow_id"),
    _text("workflow_name"),
    Column("place", Text),
    Column("timeout_seconds", Float, nullable=False, server_default=text("120")),
    _moment("created_at"),
    # Unsent by then, with its component offline: it never will be.
    Column("send_by", DateTime(timezone=True), nullable=False),
    Column("status", Text, nullable=False, server_default="waiting"),
    # The connection it was sent over last. No foreign key: a command outlives it.
    Column("connection_id", UUID(as_uuid=True)),
    Column("sends", Integer, nullable=False, server_default=text("0")),
    _moment("sent_at", null=True),
    _moment("answer_by", null=True),
    _moment("finished_at", null=True),
    _text("error"),
    _text("message"),
    Column("outputs", JSON),
    _moment("outputs_written_at", null=True),
    CheckConstraint(
        "status IN ('waiting', 'sent', 'succeeded', 'failed', 'timeout', 'unknown', 'offline')",
        name="status",
    ),
    CheckConstraint("kind IN ('execute', 'message')", name="kind"),
    Index(
        "ix_component_command_open",
        "component_id",
        "sequence",
        postgresql_where=text("status IN ('waiting', 'sent')"),
    ),
    Index("ix_component_command_place", "place", "sequence", postgresql_where=text("place IS NOT NULL")),
    Index(
        "uq_component_command_place_open",
        "place",
        unique=True,
        postgresql_where=text("status IN ('waiting', 'sent')"),
    ),
    Index("ix_component_command_finished", "finished_at"),
)

# A workflow is a Mission; this is what it was made of. Its crontab follows from cron_lines and shift.
workflow = Table(
    "workflow",
    metadata,
    Column("mission_id", BigInteger, ForeignKey("mission.id", ondelete="CASCADE"), primary_key=True),
    Column("workflow_id", Text, nullable=False, unique=True),
    Column("cron_lines", JSON, nullable=False),
    Column("shift_time", Integer, nullable=False, server_default=text("0")),
    Column("shift_unit", Text, nullable=False, server_default="s"),
    Column("timezone", Text, nullable=False, server_default="UTC"),
    # Whether the Mission's crontab names single days and is written anew as time goes by.
    Column("dated", Boolean, nullable=False, server_default=text("false")),
    # What was written there last, where it is dated. Other lines are a user's, and stay.
    Column("written_lines", JSON),
    Column("modules", JSON, nullable=False),
    _moment("created_at"),
    CheckConstraint("shift_unit IN ('s', 'min', 'h', 'D')", name="shift_unit"),
)
