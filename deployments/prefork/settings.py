"""The settings of a prefork worker, read from the environment when it starts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from models.errors import InvalidSetting
from models.validation import problems_of


def _names(text: Any) -> Any:
    return tuple(filter(None, (name.strip() for name in text.split(",")))) if isinstance(text, str) else text


class WorkerSettings(BaseModel):
    """Frozen. Durations are seconds."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    children: int = Field(
        default_factory=lambda: os.cpu_count() or 1, ge=1, le=512, alias="MISSIONDESK_WORKER_CHILDREN"
    )
    runs_per_child: int = Field(default=500, ge=1, alias="MISSIONDESK_WORKER_RUNS_PER_CHILD")
    grace_seconds: float = Field(default=60, ge=0, alias="MISSIONDESK_WORKER_GRACE_SECONDS")
    preload: Annotated[tuple[str, ...], BeforeValidator(_names)] = Field(
        default=("flows.mission",), alias="MISSIONDESK_PRELOAD"
    )

    @classmethod
    def load(cls, environ: Mapping[str, str] = os.environ) -> WorkerSettings:
        """Raises InvalidSetting with one line per setting that is wrong. An empty value counts as not set."""
        try:
            return cls.model_validate({name: value for name, value in environ.items() if value})
        except ValidationError as error:
            problems = (f"{name}: {problem}" for name, problem in problems_of(error))
            raise InvalidSetting("\n".join(problems)) from None
