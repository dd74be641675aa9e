"""The rows that every desk has: the built-in Conditions, the paper account, and the desk itself."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("INSERT INTO condition (name, valid) VALUES ('always_true', true), ('always_false', false)")
    op.execute("INSERT INTO account (name) VALUES ('paper')")
    op.execute("INSERT INTO desk DEFAULT VALUES")
