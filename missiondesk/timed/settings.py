"""The settings of timed tasks, read from the environment at each call."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.errors import InvalidSetting
from models.validation import problems_of


class TimedSettings(BaseModel):
    """Frozen. Durations are seconds.

    `attempts` is how often an item is begun at the most. A call tries a failed item again whenever it is
    made; a desk does so by itself, `retry_seconds` after the failure.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    window_seconds: int = Field(default=3600, ge=1, le=366 * 86400, alias="MISSIONDESK_TIMED_WINDOW_SECONDS")
    lease_seconds: float = Field(default=30, ge=1, le=86400, alias="MISSIONDESK_TIMED_LEASE_SECONDS")
    attempts: int = Field(default=3, ge=1, alias="MISSIONDESK_TIMED_ATTEMPTS")
    retry_seconds: float = Field(default=60, ge=0, le=86400, alias="MISSIONDESK_TIMED_RETRY_SECONDS")

    @property
    def window(self) -> timedelta:
        return timedelta(seconds=self.window_seconds)

    @classmethod
    def load(cls, environ: Mapping[str, str] = os.environ) -> TimedSettings:
        """Raises InvalidSetting with one line per setting that is wrong. An empty value counts as not set."""
        try:
            return cls.model_validate({name: value for name, value in environ.items() if value})
        except ValidationError as error:
            problems = (f"{name}: {problem}" for name, problem in problems_of(error))
            raise InvalidSetting("\n".join(problems)) from None
