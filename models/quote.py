"""What a feed tells: the best prices of a market, as often as they change; and how it stands itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, slots=True)
class Quote:
    """The best prices of a market with their amounts; None where a side is empty.

    at: the venue's stamp where it gives one, else the receiving time; received_at: when we heard it (UTC).
    Amounts are in what ccxt counts in: base units, or contracts.
    """

    exchange: str
    symbol: str
    bid: Decimal | None
    bid_amount: Decimal | None
    ask: Decimal | None
    ask_amount: Decimal | None
    at: datetime
    received_at: datetime

    @property
    def price(self) -> Decimal | None:
        """The middle of bid and ask; None when a side is empty."""
        return None if self.bid is None or self.ask is None else (self.bid + self.ask) / 2

    def to_json(self) -> str:
        """An object of texts; numbers are plain decimals, times ISO 8601."""
        return json.dumps(
            {
                "exchange": self.exchange,
                "symbol": self.symbol,
                "price": _text(self.price),
                "bid": _text(self.bid),
                "bid_amount": _text(self.bid_amount),
                "ask": _text(self.ask),
                "ask_amount": _text(self.ask_amount),
                "at": self.at.isoformat(),
                "received_at": self.received_at.isoformat(),
            }
        )

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> Quote:
        """Of what `to_json` wrote. Raises KeyError, TypeError, ValueError or ArithmeticError for others."""
        bid, bid_amount, ask, ask_amount = (
            None if message[name] is None else Decimal(message[name])
            for name in ("bid", "bid_amount", "ask", "ask_amount")
        )
        return cls(
            exchange=message["exchange"],
            symbol=message["symbol"],
            bid=bid,
            bid_amount=bid_amount,
            ask=ask,
            ask_amount=ask_amount,
            at=datetime.fromisoformat(message["at"]),
            received_at=datetime.fromisoformat(message["received_at"]),
        )


@dataclass(frozen=True, slots=True)
class FeedFigures:
    """What a feed counted of one market, and how it stands.

    messages: order books heard. quotes: changes of the best prices told, and those read by REST. stored: of
    them, written to the store. reconnects: connections of the venue but the first. stale_sides: of bid and
    ask, those that must not be priced. heard_at: the newest quote, None before the first.
    """

    exchange: str
    symbol: str
    messages: int
    quotes: int
    stored: int
    reconnects: int
    stale_sides: int
    heard_at: datetime | None


def _text(number: Decimal | None) -> str | None:
    return None if number is None else f"{number:f}"
