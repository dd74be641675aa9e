"""A market whose venue has become slow is left alone for a while."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Call(StrEnum):
    """What a venue was asked to do. ORDER: to buy or to sell."""

    ORDER = "order"
    CANCEL = "cancel"
    DEPTH = "depth"


SLOW: Final[Mapping[Call, timedelta]] = MappingProxyType(
    {
        Call.ORDER: timedelta(seconds=10),
        Call.CANCEL: timedelta(seconds=20),
        Call.DEPTH: timedelta(seconds=10),
    }
)
"""From how long on a call of this kind marks its market bad."""

REST: Final = timedelta(minutes=30)
"""How long a market stays bad after the newest slow call."""


@dataclass(frozen=True)
class CircuitBreaker:
    """The markets that are bad, each with the end of its newest slow call and which one that was."""

    slow: Mapping[str, tuple[datetime, Call]] = field(default_factory=lambda: MappingProxyType({}))

    def after(self, market: str, call: Call, took: timedelta, ended_at: datetime) -> CircuitBreaker:
        """What is known once a call has ended, with an answer or without."""
        known = self.slow.get(market)
        if took < SLOW[call] or (known is not None and known[0] >= ended_at):
            return self
        return replace(self, slow=MappingProxyType({**self.slow, market: (ended_at, call)}))

    def problem(self, market: str, now: datetime) -> str | None:
        """Why nothing new may be begun at a market; None when it may."""
        known = self.slow.get(market)
        if known is None or now - known[0] >= REST:
            return None
        until = known[0] + REST
        return f"{market} is left alone until {until:%Y-%m-%d %H:%M} UTC: its venue was slow ({known[1]})"
