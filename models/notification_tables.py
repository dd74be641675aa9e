"""The SQLAlchemy rows of notifications: what people are told of, and by which channels it left."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    func,
    text,
)

from models.notification import NotificationKind
from models.tables import metadata


def _moment(name: str) -> Column[datetime]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


# Events, written by triggers with what they tell of. Those of one key are one event, told once.
notification = Table(
    "notification",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    # No foreign key: what happened outlives the account. Null: it is for the desk's own channels.
    Column("account", Text),
    Column("subject", Text, nullable=False),
    Column("body", Text, nullable=False, server_default=""),
    _moment("created_at"),
    # When its deliveries were made.
    Column("routed_at", DateTime(timezone=True)),
    CheckConstraint(f"kind IN ({', '.join(repr(kind.value) for kind in NotificationKind)})", name="kind"),
    Index("ix_notification_new", "id", postgresql_where=text("routed_at IS NULL")),
)

# One notification on its way by one channel.
delivery = Table(
    "delivery",
    metadata,
    Column(
        "notification_id", BigInteger, ForeignKey("notification.id", ondelete="CASCADE"), primary_key=True
    ),
    Column("channel", Text, primary_key=True),
    _moment("created_at"),
    _moment("next_try_at"),
    Column("tries", Integer, nullable=False, server_default=text("0")),
    Column("sent_at", DateTime(timezone=True)),
    Column("problem", Text, nullable=False, server_default=""),
    Index("ix_delivery_unsent", "next_try_at", postgresql_where=text("sent_at IS NULL")),
)
