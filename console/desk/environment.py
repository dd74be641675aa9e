"""The environment variables that a desk's processes start with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from missiondesk.settings import Settings

# A Prefect profile, or variables meant for another server, must not lead a desk's processes astray.
_KEPT_PREFECT = ("PREFECT_LOGGING_",)


def for_parts(settings: Settings, prefect_api_url: str, others: Mapping[str, str]) -> dict[str, str]:
    """What every part gets: the desk's settings and where its Prefect server is; `others` come on top."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PREFECT_") or name.startswith(_KEPT_PREFECT)
    }
    return {
        "PREFECT_LOGGING_LEVEL": settings.log_level,
        **inherited,
        "MISSIONDESK_DATABASE_URL": settings.database_url.get_secret_value(),
        "MISSIONDESK_ENVIRONMENT": settings.environment,
        "LOG_LEVEL": settings.log_level,
        "PYTHONUNBUFFERED": "1",
        "PREFECT_HOME": str(settings.home / "prefect"),
        "PREFECT_API_URL": prefect_api_url,
        "PREFECT_CLI_PROMPT": "false",
        "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
        "PREFECT_RESULTS_LOCAL_STORAGE_PATH": str(settings.home / "results"),
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_WORKER_PREFETCH_SECONDS": "20",
        "PREFECT_WORKER_QUERY_SECONDS": "5",
        "DO_NOT_TRACK": "1",
        **others,
    }


def for_prefect_server(settings: Settings, prefect_database_url: str) -> dict[str, str]:
    """What Prefect's server gets besides: faster than its defaults as measured, or safe in a restart."""
    return {
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": prefect_database_url,
        "PREFECT_SERVER_ENCRYPTION_KEY": settings.prefect_encryption_key.get_secret_value(),
        # At INFO the server tells of every request.
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING" if settings.log_level == "INFO" else settings.log_level,
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "100",
        "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_READ_BATCH_SIZE": "100",
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "100",
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
        "PREFECT_SERVER_SERVICES_TRIGGERS_READ_BATCH_SIZE": "100",
        "PREFECT_SERVER_SERVICES_SCHEDULER_MIN_SCHEDULED_TIME": "PT15M",
        "PREFECT_SERVER_SERVICES_SCHEDULER_RECENT_DEPLOYMENTS_LOOP_SECONDS": "1",
        "PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS": "120",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
        "PREFECT_EVENTS_RETENTION_PERIOD": "P2D",
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(settings.home / "prefect" / "ui"),
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    }


def asyncpg_url(url: str, database: str) -> str:
    """The URL under which Prefect's server finds `database` beside the one of `url`."""
    parts = urlsplit(url)
    names = {"host": "host", "port": "port", "sslmode": "ssl"}
    kept = [(names[name], value) for name, value in parse_qsl(parts.query) if name in names]
    return parts._replace(
        scheme="postgresql+asyncpg", path=f"/{database}", query=urlencode(kept, safe="/", quote_via=quote)
    ).geturl()


def prefect_database(settings: Settings) -> str:
    """The name of Prefect's database: on a server that others may use too it carries ours in front."""
    if settings.embedded:
        return "prefect"
    own = Path(urlsplit(settings.database_url.get_secret_value()).path).name
    return f"{own}_prefect"
