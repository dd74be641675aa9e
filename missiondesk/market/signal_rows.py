"""Many candles that want a signal, and many signals, as arrays."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from missiondesk.market.candles import FloatArray
from missiondesk.market.signals import Action, Size, Strategy
from missiondesk.market.situation_series import Places, Situations

ACTIONS: Final = tuple(Action)
STRATEGIES: Final = tuple(Strategy)
SIZES: Final = tuple(Size)

Codes = NDArray[np.int8]

_HOLDING: Final = (
    ACTIONS.index(Action.HOLD),
    STRATEGIES.index(Strategy.TREND_FOLLOW),
    SIZES.index(Size.NONE),
)


@dataclass(frozen=True, eq=False)
class CandleRows:
    """Candles that want a signal, and what it follows from; NaN stands for a value that there is not.

    regimes: places in REGIMES; upper, lower: of the EMA channel. at: where `situations` has each candle.
    """

    regimes: NDArray[np.integer]
    upper: FloatArray
    lower: FloatArray
    volume_ratio: FloatArray
    rsi: FloatArray
    macd: FloatArray
    macd_signal: FloatArray
    at: Places
    situations: Situations

    def __len__(self) -> int:
        return len(self.at)

    def part(self, some: slice) -> CandleRows:
        """Some rows, in the same memory."""
        columns = {field.name: getattr(self, field.name) for field in fields(self)}
        situations = columns.pop("situations")
        return CandleRows(**{name: values[some] for name, values in columns.items()}, situations=situations)


@dataclass(frozen=True, eq=False)
class SignalRows:
    """Signals by row. actions, strategies, sizes are places in ACTIONS, STRATEGIES, SIZES; NaN: no price."""

    actions: Codes
    strategies: Codes
    sizes: Codes
    confidence: NDArray[np.int32]
    entry: FloatArray
    stop: FloatArray
    take_profit: FloatArray
    risk_percent: FloatArray
    reward_percent: FloatArray

    @classmethod
    def holding(cls, count: int) -> SignalRows:
        actions, strategies, sizes = (np.full(count, code, dtype=np.int8) for code in _HOLDING)
        entry, stop, take_profit, risk, reward = np.full((5, count), np.nan)
        confidence = np.zeros(count, dtype=np.int32)
        return cls(actions, strategies, sizes, confidence, entry, stop, take_profit, risk, reward)

    def part(self, some: slice) -> SignalRows:
        """Some rows, in the same memory."""
        return SignalRows(**{field.name: getattr(self, field.name)[some] for field in fields(self)})

    def __len__(self) -> int:
        return len(self.actions)
