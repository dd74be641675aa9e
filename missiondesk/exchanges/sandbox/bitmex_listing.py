"""What the sandbox lists as BitMEX, and how BitMEX wrote its instruments (as recorded in 2021 and 2025)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from missiondesk.exchanges.sandbox.bitmex_words import stamp
from missiondesk.exchanges.sandbox.futures import ContractPair
from missiondesk.exchanges.sandbox.market import Market
from missiondesk.exchanges.sandbox.pairs import Pair

BITMEX_PAIRS = (
    ContractPair(
        symbol="BTC/USD:BTC",
        market_id="XBTUSD",
        underlying="BTC/USD",
        size=Decimal(1),
        inverse=True,
        price_decimals=1,
        tick_size=Decimal("0.1"),
        lot_size=Decimal(100),
        order_minimum=Decimal(100),
        cost_minimum=Decimal(0),
        maker=Decimal("0.0005"),
        taker=Decimal("0.0005"),
    ),
)

HIGHEST_LEVERAGE = 100


def written_instrument(pair: Pair, market: Market, now: float) -> dict[str, Any]:
    """With its ticker in it."""
    book, price = market.book(pair.symbol, now, 1), float(market.price(pair.symbol, now))
    day = market.bars(pair.symbol, 60, now, 24)
    return {
        "symbol": pair.id,
        "rootSymbol": "XBT",
        "state": "Open",
        "typ": "FFWCSX",
        "positionCurrency": "USD",
        "underlying": "XBT",
        "quoteCurrency": "USD",
        "maxOrderQty": 10_000_000,
        "maxPrice": 1_000_000,
        "lotSize": int(pair.lot),
        "tickSize": float(pair.tick),
        "multiplier": -100_000_000,
        "settlCurrency": "XBt",
        "underlyingToSettleMultiplier": -100_000_000,
        "isQuanto": False,
        "isInverse": True,
        "initMargin": 1 / HIGHEST_LEVERAGE,
        "maintMargin": 0.005,
        "makerFee": float(pair.maker),
        "takerFee": float(pair.taker),
        "volume24h": int(day.volume.sum()),
        "prevPrice24h": float(day.open[0]),
        "highPrice": float(day.high.max()),
        "lowPrice": float(day.low.min()),
        "lastPrice": price,
        "markPrice": price,
        "bidPrice": float(book.bids[0].price),
        "askPrice": float(book.asks[0].price),
        "timestamp": stamp(now),
    }
