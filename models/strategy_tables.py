"""The SQLAlchemy rows of strategies: each run that trades on markets."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, DateTime, Identity, Table, Text, UniqueConstraint, func

from models.tables import metadata

# A strategy on these markets with these accounts; whoever starts it again goes on with what it holds.
strategy_run = Table(
    "strategy_run",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("strategy", Text, nullable=False),
    Column("mode", Text, nullable=False),
    # `exchange:SYMBOL@account` of each market in its order, separated by commas.
    Column("legs", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), server_default=func.now(), nullable=False),
    UniqueConstraint("strategy", "mode", "legs"),
)
