"""What the desk needs of an exchange. One contract suite runs over everything that implements it.

Symbols are ccxt's unified ones. Every call may raise ExchangeUnreachable (retry), CredentialsRefused or
VenueClosed (call the operator) or UnknownName (no such symbol). Times are aware UTC, money is Decimal.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from missiondesk.market.candles import Candles
from models.market import Instrument, OrderBook, Side, Ticker, Trade
from models.order import ExchangeOrder, OrderType, Position


class MarketData(Protocol):
    """The public side of one exchange."""

    @property
    def name(self) -> str: ...

    def instruments(self) -> dict[str, Instrument]:
        """Every market by its symbol; kept, and read anew every few hours."""
        ...

    def timeframes(self) -> Sequence[str]:
        """The candle granularities it serves, shortest first (`1m`, `1h`, …)."""
        ...

    def candles(self, symbol: str, timeframe: str, *, since: datetime | None, limit: int) -> Candles:
        """The newest `limit` candles at most, from `since` on, as served: the running one is included."""
        ...

    def ticker(self, symbol: str) -> Ticker: ...

    def order_book(self, symbol: str, depth: int = 50) -> OrderBook: ...

    def trades(self, symbol: str, *, since: datetime, limit: int = 1000) -> Sequence[Trade]:
        """Public trades from `since` on, oldest first."""
        ...


class Trading(Protocol):
    """The private side of one account. Only the order gateway may hold one."""

    def balances(self) -> dict[str, tuple[Decimal, Decimal]]:
        """Currency → (free, total)."""
        ...

    def positions(self) -> Sequence[Position]:
        """Open contract positions; empty on a spot venue."""
        ...

    def place(
        self,
        *,
        client_order_id: str,
        symbol: str,
        side: Side,
        type: OrderType,
        amount: Decimal,
        price: Decimal | None,
        deadline: datetime,
        reduce_only: bool = False,
        leverage: Decimal | None = None,
    ) -> ExchangeOrder:
        """Send one order that the venue must refuse after `deadline`, where it has such a thing.

        Raises OrderRejected (the venue said no), OutcomeUnknown (no or no readable answer). All other errors
        mean that the venue certainly took no order.
        """
        ...

    def find(
        self, client_order_id: str, symbol: str, *, since: datetime, exchange_order_id: str | None = None
    ) -> ExchangeOrder | None:
        """The order, sought in open and closed orders and in fills since `since`; None: in none of them."""
        ...

    def cancel(self, order: ExchangeOrder) -> ExchangeOrder:
        """Cancel and return the final state; an order already done is not an error."""
        ...


class Exchange(MarketData, Trading, Protocol):
    """Both sides of a venue."""
