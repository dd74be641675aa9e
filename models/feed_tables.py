"""The SQLAlchemy rows of feeds: the best prices of markets as a time series, and what feeds counted."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, DateTime, Identity, Index, Numeric, SmallInteger, Table, Text

from models.tables import metadata

# Append-only, in the order in which they were heard; a null price is an empty side.
quote = Table(
    "quote",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("exchange", Text, nullable=False),
    Column("symbol", Text, nullable=False),
    Column("bid", Numeric),
    Column("bid_amount", Numeric),
    Column("ask", Numeric),
    Column("ask_amount", Numeric),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("received_at", DateTime(timezone=True), nullable=False),
    Index("ix_quote_market", "exchange", "symbol", "received_at"),
    Index("ix_quote_received_at", "received_at", postgresql_using="brin"),
)

# One row for each market that was ever fed: what all its feeds counted, and how the newest of them stood.
feed_market = Table(
    "feed_market",
    metadata,
    Column("exchange", Text, primary_key=True),
    Column("symbol", Text, primary_key=True),
    Column("messages", BigInteger, nullable=False),
    Column("quotes", BigInteger, nullable=False),
    Column("stored", BigInteger, nullable=False),
    Column("reconnects", BigInteger, nullable=False),
    Column("stale_sides", SmallInteger, nullable=False),
    Column("heard_at", DateTime(timezone=True)),
    Column("reported_at", DateTime(timezone=True), nullable=False),
)
