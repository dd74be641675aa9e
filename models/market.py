"""What a market quotes: instruments, prices, books and trades. Money and amounts are Decimal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

Side = Literal["buy", "sell"]


@dataclass(frozen=True)
class Instrument:
    """One tradable market of an exchange, in ccxt's unified symbol (`BTC/USD`, `BTC/USD:BTC-260327`).

    lot: smallest step of an amount; tick: smallest step of a price; contract_size: base (linear) or quote
    (inverse) units per contract, 1 for spot; maker/taker: fee rates as fractions of the notional.
    """

    exchange: str
    symbol: str
    base: str
    quote: str
    lot: Decimal
    tick: Decimal
    min_amount: Decimal
    min_cost: Decimal
    maker: Decimal
    taker: Decimal
    is_contract: bool = False
    inverse: bool = False
    contract_size: Decimal = Decimal(1)
    settle: str | None = None


@dataclass(frozen=True)
class Ticker:
    """Best prices at an instant (UTC). `at` is the exchange's stamp, or the receiving time."""

    exchange: str
    symbol: str
    bid: Decimal
    ask: Decimal
    last: Decimal
    at: datetime
    bid_amount: Decimal | None = None
    ask_amount: Decimal | None = None


@dataclass(frozen=True)
class Level:
    price: Decimal
    amount: Decimal


@dataclass(frozen=True)
class OrderBook:
    """Bids from the highest price down, asks from the lowest up."""

    exchange: str
    symbol: str
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    at: datetime


@dataclass(frozen=True)
class Trade:
    """A public trade."""

    symbol: str
    side: Side
    price: Decimal
    amount: Decimal
    at: datetime
    id: str = ""
