"""Is a step due in this tick? The period rule, with its examples, is docs/decisions/period-rule.md."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from models.timer import Period, fires_at


@dataclass(frozen=True)
class Tick:
    """One scheduled or ad-hoc run. `scheduled_at` is aware; an ad-hoc tick has the time it was asked for.

    `crontab` and `timezone` are the Mission's: with a crontab of its own, that takes the place of every
    period's cron.
    """

    scheduled_at: datetime
    ad_hoc: bool = False
    crontab: tuple[str, ...] = ()
    timezone: str = "UTC"

    def fires(self, period: Period) -> bool:
        """Whether this tick stands at a firing time of the period."""
        return self.ad_hoc or fires_at(self.crontab or (period.cron,), self.scheduled_at, self.timezone)


def is_due(period: Period | None, longest_passed: Period | None, tick: Tick) -> bool:
    """Whether a step of `period` is due, when `longest_passed` is the longest period passed in this tick."""
    if period is None:
        return True
    if longest_passed is not None:
        return longest_passed >= period
    return tick.fires(period)
