"""What the desk's tables know of a market: read by templates while it is fresh, named in their messages.

Fresh is what belongs to the newest closed candle.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Protocol, runtime_checkable

from missiondesk.market.candles import Candles
from missiondesk.market.indicators import Indicator, indicator
from missiondesk.market.regime import Regime, RegimeSettings
from missiondesk.market.signal_settings import SignalSettings
from missiondesk.market.signals import Action
from missiondesk.market.stored_indicators import STORED
from missiondesk.templates.source import Source, described, missing_bars, moment


@dataclass(frozen=True)
class StoredState:
    """A stored regime and the signal that followed, of the candle that `opened` then.

    missing: candles absent among those it was decided by. confidence: 0–100; reason: the signal's first one.
    cancelled: somebody has cancelled the signal.
    """

    opened: datetime
    missing: int
    fresh: bool
    regime: Regime
    adx: float
    in_channel_percent: float
    action: Action
    confidence: float
    reason: str
    cancelled: bool = False


@dataclass(frozen=True)
class StoredValues:
    """Indicators of the newest stored candles, newest first; what is not calculated is left out.

    opened: of the newest candle. missing: candles absent among those the values are made of.
    """

    opened: datetime
    missing: int
    fresh: bool
    rows: tuple[Mapping[Indicator, float], ...]

    def hold(self, specs: Collection[Indicator], count: int) -> bool:
        """Whether all these are there for so many candles."""
        return len(self.rows) >= count and all(spec in row for row in self.rows[:count] for spec in specs)


@runtime_checkable
class StoredMarketData(Protocol):
    """Markets that have tables."""

    def stored_state(self, source: Source, within: int, now: datetime) -> StoredState | None:
        """The newest that was known at `now`; None where there is none.

        within: of how many of the newest candles, present or not, to count the missing ones.
        """
        ...

    def stored_values(
        self, source: Source, specs: Collection[Indicator], count: int, within: int, now: datetime
    ) -> StoredValues | None:
        """Of the newest `count` candles that were known at `now`; None where there are none.

        within: as for `stored_state`.
        """
        ...

    def thresholds(self) -> tuple[RegimeSettings, SignalSettings]:
        """Those by which the tables' regimes and signals are decided."""
        ...


@cache
def stored_columns() -> Mapping[Indicator, str]:
    """The indicators that have a column in the tables, with its name."""
    of_candles = {indicator(name): name for name in ("open", "high", "low", "close", "volume")}
    of_channel = {indicator(f"ema_channel_{line}", {"length": 33}): line for line in ("upper", "lower")}
    return {**of_candles, **of_channel, **{spec: name for name, spec in STORED.items()}}


def from_table(source: Source, read: StoredState | StoredValues) -> str:
    """What a message says of values that were read."""
    candle = f"{source.market} {source.timeframe}, candle {moment(read.opened)}"
    return f"from the table: {candle}{missing_bars(read.missing)}"


def on_the_fly(source: Source, candles: Candles, remark: str) -> str:
    """What a message says of values that were computed; the remark says what is wrong with the tables."""
    return f"computed on the fly: {described(source, candles)}" + (f"; {remark}" if remark else "")


def stale(opened: datetime) -> str:
    """A remark on tables that end at this candle."""
    return f"the table is stale, its newest candle is {moment(opened)}"


INCOMPLETE = "the table lacks some of these values"
"""A remark on tables that are fresh."""
