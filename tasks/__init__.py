"""Prefect tasks, one verb each: retries, caching, names and timeouts around what missiondesk does."""
