"""Run by alembic: the revisions go through the connection that `missiondesk.store.migrate` brings."""

from __future__ import annotations

from alembic import context

import models.component_tables
import models.feed_tables
import models.market_tables
import models.notification_tables
import models.strategy_tables
import models.timed_tables  # noqa: F401 — its tables are part of the metadata
from models.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
