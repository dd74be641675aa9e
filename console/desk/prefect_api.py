"""The few questions that the desk itself asks Prefect's server, without importing Prefect."""

from __future__ import annotations

import json
import urllib.request
from datetime import datetime
from typing import Any
from urllib.parse import quote


def worker_beats(api_url: str, work_pool: str, worker: str, since: datetime) -> bool:
    """Whether that worker has reported to the server after `since`."""
    try:
        workers = _post(f"{api_url}/work_pools/{quote(work_pool)}/workers/filter", {})
    except (OSError, ValueError):
        return False
    return any(
        found["name"] == worker and datetime.fromisoformat(found["last_heartbeat_time"]) >= since
        for found in workers
        if found["last_heartbeat_time"] is not None
    )


def _post(url: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=5) as response:
        return json.load(response)
