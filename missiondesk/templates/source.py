"""Where a template reads: the closed candles of a market, or its price now; and how messages name that."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from missiondesk.market.candles import Candles, to_datetime


@dataclass(frozen=True)
class Source:
    """The closed candles of a market, or without a timeframe its price now."""

    exchange: str
    symbol: str
    timeframe: str | None

    @property
    def market(self) -> str:
        return f"{self.exchange}:{self.symbol}"


def described(source: Source, candles: Candles) -> str:
    """What was read: market, timeframe, opening time of the newest candle, and gaps."""
    parts = [f"{source.market} {source.timeframe}"]
    if len(candles):
        parts.append(f"candle {moment(to_datetime(int(candles.open_time[-1])))}")
    return ", ".join(parts) + missing_bars(len(candles.missing_open_times()))


def missing_bars(missing: int) -> str:
    """How a message goes on where bars are missing inside what was read."""
    if not missing:
        return ""
    return f", {missing} {'bar' if missing == 1 else 'bars'} missing"


def moment(opened: datetime) -> str:
    """The opening time of a candle."""
    return f"{opened:%Y-%m-%dT%H:%MZ}"
