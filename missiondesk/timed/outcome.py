"""What became of the items of one call, with a text for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from models.timed import Timestamp


@dataclass(frozen=True)
class TimedOutcome:
    """`results` holds what the function returned, by timestamp; the rest counts items.

    ran: handed over, and the call returned. skipped: done before, in the hands of another call, or out of
    attempts. pending: their time is still to come. outside: not within the window. expired: their time ran
    out while earlier ones of the same call ran. `waits` says what the pending ones wait for.
    """

    results: Mapping[Timestamp, Any] = field(default_factory=dict)
    ran: int = 0
    skipped: int = 0
    pending: int = 0
    outside: int = 0
    expired: int = 0
    waits: str = ""

    def __str__(self) -> str:
        counts = {
            "ran": self.ran,
            "skipped (done before, being run elsewhere, or out of attempts)": self.skipped,
            "pending": self.pending,
            "outside the window": self.outside,
            "expired": self.expired,
        }
        said = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
        return (said or "no items") + (f"; {self.waits}" if self.waits else "")
