"""Run by alembic: the revisions go through the connection that `missiondesk.store.migrate` brings."""

from __future__ import annotations

from alembic import context

from models.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
