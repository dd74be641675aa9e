"""The schema's history: alembic revisions, run by `missiondesk.store.migrate` alone."""
