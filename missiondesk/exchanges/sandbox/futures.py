"""Futures and perpetuals as the sandbox lists them, and their prices: the coin's, and a little above it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from missiondesk.exchanges.contracts import Contract
from missiondesk.exchanges.sandbox.bars import Bars, Floats
from missiondesk.exchanges.sandbox.pairs import Pair
from missiondesk.exchanges.sandbox.source import MarketSource

_A_COIN = {"BTC": 60_000.0, "ETH": 2_500.0}


@dataclass(frozen=True, kw_only=True)
class ContractPair(Pair):
    """A market of contracts; `market_id` is the venue's own name for it.

    underlying: the spot symbol whose price it follows, times 1 + `basis`. size: see Contract. first,
    delivery: unix seconds between which it is listed; None for a perpetual.
    """

    market_id: str
    underlying: str
    size: Decimal
    inverse: bool
    lot_size: Decimal
    tick_size: Decimal
    basis: float = 0.0
    first: float | None = None
    delivery: float | None = None

    @property
    def id(self) -> str:
        return self.market_id

    @property
    def altname(self) -> str:
        return self.market_id

    @property
    def wsname(self) -> str:
        return self.market_id

    @property
    def tick(self) -> Decimal:
        return self.tick_size

    @property
    def lot(self) -> Decimal:
        return self.lot_size

    @property
    def money(self) -> str:
        return self.base if self.inverse else self.quote

    @property
    def cost_decimals(self) -> int:
        return 8

    @property
    def contract(self) -> Contract:
        return Contract(self.size, self.inverse)

    @property
    def contracts_a_coin(self) -> float:
        """How many trade where one coin trades; at a usual price for inverse ones, so that volumes add up."""
        return (_A_COIN[self.base] if self.inverse else 1.0) / float(self.size)

    def trades_at(self, now: float) -> bool:
        return (self.first is None or self.first <= now) and (self.delivery is None or now < self.delivery)


class FuturesSource:
    """A market source for contracts, volumes in contracts, made of one for the coins they stand for."""

    def __init__(self, source: MarketSource, pairs: Iterable[ContractPair]) -> None:
        self._source = source
        self._pairs = {pair.symbol: pair for pair in pairs}

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(self._pairs)

    def resolution(self, symbol: str) -> int:
        return self._source.resolution(self._pairs[symbol].underlying)

    def price_decimals(self, symbol: str) -> int | None:
        return self._pairs[symbol].price_decimals

    def volume_per_minute(self, symbol: str) -> float:
        pair = self._pairs[symbol]
        return self._source.volume_per_minute(pair.underlying) * pair.contracts_a_coin

    def bars(self, symbol: str, minutes: int, first: int, last: int) -> Bars:
        pair = self._pairs[symbol]
        bars = self._source.bars(pair.underlying, minutes, first, last)

        def priced(prices: Floats) -> Floats:
            return np.asarray(np.round(prices * (1.0 + pair.basis), pair.price_decimals))

        return replace(
            bars,
            open=priced(bars.open),
            high=priced(bars.high),
            low=priced(bars.low),
            close=priced(bars.close),
            volume=bars.volume * pair.contracts_a_coin,
        )
