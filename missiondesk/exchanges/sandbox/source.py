"""Where the sandbox's prices come from: the port, and a source made of several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from missiondesk.exchanges.sandbox.bars import Bars


class MarketSource(Protocol):
    """A deterministic price history that reaches past now: what will be is already known to it.

    Times are unix seconds. The market shows of the future only what its clock has reached.
    """

    @property
    def symbols(self) -> tuple[str, ...]:
        """Unified symbols (`BTC/USD`) it has candles for."""
        ...

    def resolution(self, symbol: str) -> int:
        """Minutes of its finest candles; coarser ones are whole multiples."""
        ...

    def price_decimals(self, symbol: str) -> int | None:
        """Decimals its prices need, or None when it follows the pair's own."""
        ...

    def volume_per_minute(self, symbol: str) -> float:
        """What usually trades in a minute, in base units; sizes the order book."""
        ...

    def bars(self, symbol: str, minutes: int, first: int, last: int) -> Bars:
        """Complete candles with first <= opened < last; both ends are multiples of the interval.

        Candles the source does not have are left out, never invented.
        """
        ...


class SeveralSources:
    """Each symbol from the first source that has it."""

    def __init__(self, sources: Sequence[MarketSource]) -> None:
        self._by_symbol = {symbol: source for source in reversed(sources) for symbol in source.symbols}

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(sorted(self._by_symbol))

    def resolution(self, symbol: str) -> int:
        return self._by_symbol[symbol].resolution(symbol)

    def price_decimals(self, symbol: str) -> int | None:
        return self._by_symbol[symbol].price_decimals(symbol)

    def volume_per_minute(self, symbol: str) -> float:
        return self._by_symbol[symbol].volume_per_minute(symbol)

    def bars(self, symbol: str, minutes: int, first: int, last: int) -> Bars:
        return self._by_symbol[symbol].bars(symbol, minutes, first, last)
