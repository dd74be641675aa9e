"""Assets and pairs as Kraken names and sizes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from missiondesk.exchanges.contracts import Contract

ALTNAMES = {"BTC": "XBT", "DOGE": "XDG"}
"""Kraken's own spelling where it differs from everyone else's."""

_X_ASSETS = frozenset({"BTC", "ETH", "LTC", "XRP", "DOGE", "ETC", "XLM", "XMR", "ZEC", "MLN", "REP"})
_FIAT = frozenset({"USD", "EUR", "GBP", "JPY", "CAD", "AUD"})
_STABLE = frozenset({"USDT", "USDC", "DAI"})
_OLD_QUOTES = frozenset({"USD", "EUR", "GBP", "JPY", "CAD", "BTC"})
_ORDER_MINIMUM = {
    "BTC": "0.00005", "ETH": "0.001", "SOL": "0.02", "DOGE": "13", "BCH": "0.01", "LTC": "0.04", "XRP": "2",
    "LINK": "0.2", "DOT": "0.6", "ADA": "4.5", "AVAX": "0.1", "BNB": "0.005",
}  # fmt: skip
_PRICE_DECIMALS = {
    "BTC/USD": 1, "ETH/USD": 2, "SOL/USD": 2, "DOGE/USD": 7, "BCH/USD": 2, "LTC/USD": 2, "XRP/USD": 5,
    "LINK/USD": 5, "BTC/USDT": 1, "ETH/USDT": 2, "ETH/BTC": 5,
}  # fmt: skip
_LEVERAGE = {"BTC": 10, "ETH": 10, "SOL": 10, "XRP": 10, "DOGE": 10, "LTC": 5, "LINK": 5, "BCH": 3}

STANDARD_SYMBOLS = tuple(_PRICE_DECIMALS)
"""Always listed, whether or not a recording has them."""


def asset_id(code: str) -> str:
    """Kraken's asset id: XXBT for BTC, ZUSD for USD, SOL for SOL."""
    if code in _FIAT:
        return f"Z{code}"
    return f"X{altname(code)}" if code in _X_ASSETS else code


def altname(code: str) -> str:
    return ALTNAMES.get(code, code)


def asset_decimals(code: str) -> int:
    """Decimals of a balance; one more for fiat than Kraken shows, so that no fee is rounded away."""
    return 5 if code in _FIAT else 8 if code in _STABLE else 10


@dataclass(frozen=True)
class Pair:
    """One listed market. Fees are fractions of the cost; minimums in base (amount) and quote (cost)."""

    symbol: str
    price_decimals: int
    order_minimum: Decimal
    cost_minimum: Decimal
    leverages: tuple[int, ...] = ()
    lot_decimals: int = 8
    maker: Decimal = Decimal("0.0025")
    taker: Decimal = Decimal("0.0040")

    @classmethod
    def listed(cls, symbol: str, price_decimals: int | None = None) -> Pair:
        """A pair with Kraken's sizes; `price_decimals` widens the tick for a recording that needs it."""
        base, quote = symbol.split("/")
        usual = _PRICE_DECIMALS.get(symbol, 5)
        return cls(
            symbol=symbol,
            price_decimals=usual if price_decimals is None else max(price_decimals, usual),
            order_minimum=Decimal(_ORDER_MINIMUM.get(base, "0.1")),
            cost_minimum=Decimal("0.5" if quote in _FIAT | _STABLE else "0.00002"),
            leverages=tuple(range(2, _LEVERAGE.get(base, 0) + 1)) if quote in _FIAT | _STABLE else (),
        )

    @property
    def base(self) -> str:
        return self.symbol.split("/")[0]

    @property
    def quote(self) -> str:
        return self.symbol.partition(":")[0].split("/")[1]

    @property
    def money(self) -> str:
        """The asset in which its orders' cost and fee are counted."""
        return self.quote

    @property
    def contract(self) -> Contract | None:
        """What one unit of an amount stands for; None when it is a coin."""
        return None

    def trades_at(self, now: float) -> bool:
        """Whether it is listed at an instant (unix seconds)."""
        return True

    @property
    def id(self) -> str:
        """XXBTZUSD, and for newer listings the altname."""
        old = self.base in _X_ASSETS and self.quote in _OLD_QUOTES
        if old and (self.base != "DOGE" or self.quote == "BTC"):
            return asset_id(self.base) + asset_id(self.quote)
        return self.altname

    @property
    def altname(self) -> str:
        return altname(self.base) + altname(self.quote)

    @property
    def wsname(self) -> str:
        return f"{altname(self.base)}/{altname(self.quote)}"

    @property
    def tick(self) -> Decimal:
        return Decimal(1).scaleb(-self.price_decimals)

    @property
    def lot(self) -> Decimal:
        return Decimal(1).scaleb(-self.lot_decimals)

    @property
    def cost_decimals(self) -> int:
        return 5 if self.quote in _FIAT | _STABLE else 10


class Listing:
    """The pairs on offer, found by any name Kraken accepts."""

    def __init__(self, pairs: Iterable[Pair]) -> None:
        self._pairs = {pair.symbol: pair for pair in pairs}
        self._by_name = {
            name: pair
            for pair in self._pairs.values()
            for name in (pair.symbol.replace("/", ""), pair.symbol, pair.wsname, pair.altname, pair.id)
        }

    def __iter__(self) -> Iterator[Pair]:
        return iter(self._pairs.values())

    def __getitem__(self, symbol: str) -> Pair:
        return self._pairs[symbol]

    def find(self, name: str) -> Pair | None:
        return self._by_name.get(name)

    @property
    def assets(self) -> tuple[str, ...]:
        """Every asset of a pair, base or quote."""
        return tuple(sorted({asset for pair in self._pairs.values() for asset in (pair.base, pair.quote)}))
