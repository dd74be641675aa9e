"""The SQLAlchemy row of a timed task's item."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSON, UUID

from models.tables import metadata

timed_task = Table(
    "timed_task",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("task", Text, nullable=False),
    Column("task_name", Text, nullable=False),
    Column("flag", Text, nullable=False),
    Column("key", Text, nullable=False, unique=True),
    Column("status", Integer, nullable=False, server_default=text("0")),
    # When it is to be run, and the last second in which it may be begun.
    Column("executed_time", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("finish_time", DateTime(timezone=True)),
    Column("update_time", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("create_time", DateTime(timezone=True), nullable=False, server_default=func.now()),
    # What another process needs to run it. Not jsonb, which refuses some strings that JSON allows.
    Column("entrypoint", Text),
    Column("batch", UUID(as_uuid=True), nullable=False),
    Column("position", Integer, nullable=False),
    Column("item", JSON),
    Column("call", JSON),
    # The lease: whose call runs it now.
    Column("holder", Text),
    Column("lease_expires_at", DateTime(timezone=True)),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("problem", Text, nullable=False, server_default=""),
    # When a desk last asked for a run of it; empty again once it is claimed.
    Column("asked_at", DateTime(timezone=True)),
    CheckConstraint("status IN (0, 1, 2, 3)", name="status"),
    Index("ix_timed_task_open", "status", "expires_at"),
    Index("ix_timed_task_batch", "batch"),
)
