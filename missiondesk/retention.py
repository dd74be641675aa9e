"""How long the desk keeps what it writes down every hour or second, and the deletion of what is older.

Candles and what is calculated of them, orders, results and the audit are kept for good.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import Engine

from missiondesk.store.market.ledger import forget_steps
from missiondesk.store.quotes import Quotes
from missiondesk.store.timed_tasks import TimedTasks
from models.errors import InvalidSetting
from models.validation import problems_of


class Retention(BaseModel):
    """Frozen. Durations are days.

    Rows of `refresh_step`, of `timed_task` once they have ended, and of `quote`.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    refresh_steps: float = Field(default=30, ge=1, alias="MISSIONDESK_KEEP_REFRESH_STEPS_DAYS")
    timed_items: float = Field(default=90, ge=1, alias="MISSIONDESK_KEEP_TIMED_ITEMS_DAYS")
    prices: float = Field(default=7, ge=0, alias="MISSIONDESK_KEEP_PRICES_DAYS")

    @classmethod
    def load(cls, environ: Mapping[str, str] = os.environ) -> Retention:
        """Raises InvalidSetting with one line per setting that is wrong. An empty value counts as not set."""
        try:
            return cls.model_validate({name: value for name, value in environ.items() if value})
        except ValidationError as error:
            problems = (f"{name}: {problem}" for name, problem in problems_of(error))
            raise InvalidSetting("\n".join(problems)) from None


@dataclass(frozen=True)
class Purged:
    """How many rows were deleted."""

    refresh_steps: int
    timed_items: int
    prices: int

    def __str__(self) -> str:
        counted = asdict(self).items()
        return ", ".join(f"{count} {what.replace('_', ' ')}" for what, count in counted) + " deleted"


def purge_history(engine: Engine, retention: Retention, window: timedelta, now: datetime) -> Purged:
    """Delete what is older than it is to be kept. `window` is that of timed tasks.

    An item stays while a call could still bring it again: a row that is gone could be run a second time.
    """
    return Purged(
        forget_steps(engine, now - timedelta(days=retention.refresh_steps)),
        TimedTasks(engine).forget(now - max(timedelta(days=retention.timed_items), window)),
        Quotes(engine).forget(now - timedelta(days=retention.prices)),
    )
