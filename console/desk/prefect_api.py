"""The few questions that the desk itself asks Prefect's server, without importing Prefect."""

from __future__ import annotations

import json
import urllib.request
from datetime import datetime
from typing import Any
from urllib.parse import quote


def workers_since(api_url: str, work_pool: str, since: datetime) -> set[str]:
    """The names of the workers of that pool that have reported after `since`. Raises OSError."""
    workers = _ask(f"{api_url}/work_pools/{quote(work_pool)}/workers/filter", {})
    return {
        found["name"]
        for found in workers
        if (beat := found["last_heartbeat_time"]) is not None and datetime.fromisoformat(beat) >= since
    }


def work_pool_type(api_url: str, work_pool: str) -> str:
    """Raises OSError, also for a pool that does not exist."""
    return str(_ask(f"{api_url}/work_pools/{quote(work_pool)}")["type"])


def _ask(url: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=5) as response:
        return json.load(response)
