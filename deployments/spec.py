"""What a deployment in Prefect should look like, as plain comparable values."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any

# Every deployment that we push carries this tag, and only those are ever changed or deleted.
OWNED_TAG = "missiondesk"

# The worker kills a run that lasts longer, unless the deployment's job variables say otherwise.
DEFAULT_TIMEOUT_SECONDS = 600.0


@dataclass(frozen=True)
class ScheduleSpec:
    """One cron schedule of a deployment, known by its slug."""

    slug: str
    cron: str
    timezone: str
    active: bool


@dataclass(frozen=True)
class DeploymentSpec:
    """A deployment under its own flow. `key` is ours (`mission:12`) and stays when the flow is renamed."""

    key: str
    flow_name: str
    name: str
    entrypoint: str
    parameters: dict[str, Any]
    work_pool: str
    schedules: tuple[ScheduleSpec, ...]
    description: str = ""
    tags: tuple[str, ...] = ()
    job_variables: dict[str, Any] = field(default_factory=dict)
    work_queue: str = "default"
    paused: bool = False

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def silenced(self) -> DeploymentSpec:
        """The same with no active schedule."""
        return replace(self, schedules=tuple(replace(each, active=False) for each in self.schedules))

    @property
    def hash(self) -> str:
        """The same for specs that are equal, in any process."""
        by_slug = sorted(self.schedules, key=lambda schedule: schedule.slug)
        ordered = {**self.as_json(), "schedules": [asdict(schedule) for schedule in by_slug]}
        text = json.dumps(ordered, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()
