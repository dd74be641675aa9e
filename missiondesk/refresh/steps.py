"""The five steps of a refresh, in their order."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Step(StrEnum):
    """A step, by the name of its part of a refresh's result."""

    OHLC = "ohlc"
    INDICATORS = "indicators"
    EMA_CHANNEL = "ema_channel"
    MARKET_REGIME = "market_regime"
    SIGNALS = "signals"

    @property
    def predecessor(self) -> Step | None:
        """The step whose rows this one reads; it has finished before this one begins."""
        place = STEPS.index(self)
        return STEPS[place - 1] if place else None


STEPS: Final = tuple(Step)
