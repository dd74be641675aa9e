"""The public channels of Kraken's websocket (v2): what is to be sent on each as time goes on.

Everything is taken from the REST endpoints, so that both sides tell of the same market.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from missiondesk.exchanges.sandbox.bars import MINUTE
from missiondesk.exchanges.sandbox.kraken_public import INTERVALS
from missiondesk.exchanges.sandbox.pairs import Pair

Params = Mapping[str, Any]
Endpoints = Mapping[str, Callable[[Params, float], Any]]
Frame = Mapping[str, Any]

BOOK_DEPTHS: Final = (10, 25, 100, 500)
_FIRST_TRADES: Final = 50
_FIRST_CANDLES: Final = 100
_CHECKED_LEVELS: Final = 10
_NANOSECONDS: Final = 1_000_000_000


class Channel(Protocol):
    """One subscription: a channel of one pair."""

    def frames(self, now: float) -> Sequence[Frame]:
        """What to send at `now` (unix seconds): at first a snapshot, then what changed since."""
        ...


class TickerChannel:
    """`change` counts from today's opening (UTC)."""

    def __init__(self, endpoints: Endpoints, pair: Pair) -> None:
        self._endpoints = endpoints
        self._pair = pair
        self._told: Mapping[str, Any] | None = None

    def frames(self, now: float) -> Sequence[Frame]:
        ticker = self._ticker(now)
        if ticker == self._told:
            return []
        kind = "update" if self._told else "snapshot"
        self._told = ticker
        return [{"channel": "ticker", "type": kind, "data": [ticker]}]

    def _ticker(self, now: float) -> Mapping[str, Any]:
        row = self._endpoints["Ticker"]({"pair": self._pair.symbol}, now)[self._pair.id]
        last, opened = float(row["c"][0]), float(row["o"])
        return {
            "symbol": self._pair.symbol,
            "bid": float(row["b"][0]),
            "bid_qty": float(row["b"][2]),
            "ask": float(row["a"][0]),
            "ask_qty": float(row["a"][2]),
            "last": last,
            "volume": float(row["v"][1]),
            "vwap": float(row["p"][1]),
            "low": float(row["l"][1]),
            "high": float(row["h"][1]),
            "change": round(last - opened, self._pair.price_decimals),
            "change_pct": round((last / opened - 1) * 100, 2),
        }


class BookChannel:
    """The best `depth` levels of each side; a level that is gone has quantity 0."""

    def __init__(self, endpoints: Endpoints, pair: Pair, depth: int) -> None:
        self._endpoints = endpoints
        self._pair = pair
        self._depth = depth
        self._told: Mapping[str, Mapping[float, float]] | None = None

    def frames(self, now: float) -> Sequence[Frame]:
        rows = self._endpoints["Depth"]({"pair": self._pair.symbol, "count": self._depth}, now)[self._pair.id]
        book = {side: {float(row[0]): float(row[1]) for row in rows[side]} for side in ("bids", "asks")}
        if book == self._told:
            return []
        stamp: Frame = {} if self._told is None else {"timestamp": _stamp(now)}
        changed = {
            side: _levels(_changes(self._told[side] if self._told else {}, book[side])) for side in book
        }
        kind = "update" if self._told else "snapshot"
        self._told = book
        checksum = book_checksum(book, self._pair.price_decimals, self._pair.lot_decimals)
        entry = {"symbol": self._pair.symbol, **changed, "checksum": checksum, **stamp}
        return [{"channel": "book", "type": kind, "data": [entry]}]


class TradeChannel:
    def __init__(self, endpoints: Endpoints, pair: Pair) -> None:
        self._endpoints = endpoints
        self._pair = pair
        self._last: str | None = None

    def frames(self, now: float) -> Sequence[Frame]:
        params: Params = {"count": _FIRST_TRADES} if self._last is None else {"since": self._last}
        answer = self._endpoints["Trades"]({"pair": self._pair.symbol, **params}, now)
        kind = "snapshot" if self._last is None else "update"
        # A market in which nothing has traded yet has no last trade, and begins now.
        self._last = str(answer["last"]) if int(answer["last"]) else str(round(now * _NANOSECONDS))
        trades = [self._trade(row) for row in answer[self._pair.id]]
        return [{"channel": "trade", "type": kind, "data": trades}] if trades else []

    def _trade(self, row: Sequence[Any]) -> Mapping[str, Any]:
        price, volume, at, side, order_type, _, trade_id = row
        return {
            "symbol": self._pair.symbol,
            "side": "buy" if side == "b" else "sell",
            "price": float(price),
            "qty": float(volume),
            "ord_type": "market" if order_type == "m" else "limit",
            "trade_id": trade_id,
            "timestamp": _stamp(at),
        }


class CandleChannel:
    """`interval` in minutes."""

    def __init__(self, endpoints: Endpoints, pair: Pair, interval: int) -> None:
        self._endpoints = endpoints
        self._pair = pair
        self._interval = interval
        self._told: Mapping[str, Any] | None = None

    def frames(self, now: float) -> Sequence[Frame]:
        # Kraken's `since` is not included, and the candle told last may have grown.
        since = 0 if self._told is None else self._told["opened"] - 1
        params = {"pair": self._pair.symbol, "interval": self._interval, "since": since}
        rows = self._endpoints["OHLC"](params, now)[self._pair.id]
        candles = [self._candle(row) for row in rows[-_FIRST_CANDLES:]]
        fresh = [candle for candle in candles if candle != self._told]
        if not fresh:
            return []
        kind = "update" if self._told else "snapshot"
        self._told = fresh[-1]
        data = [{name: value for name, value in candle.items() if name != "opened"} for candle in fresh]
        return [{"channel": "ohlc", "type": kind, "timestamp": _stamp(now), "data": data}]

    def _candle(self, row: Sequence[Any]) -> Mapping[str, Any]:
        opened, open_, high, low, close, mean, volume, trades = row
        return {
            "opened": opened,
            "symbol": self._pair.symbol,
            "open": float(open_),
            "high": float(high),
            "low": float(low),
            "close": float(close),
            "trades": trades,
            "volume": float(volume),
            "vwap": float(mean),
            "interval_begin": _stamp(opened),
            "interval": self._interval,
            "timestamp": _stamp(opened + self._interval * MINUTE),
        }


def book_checksum(book: Mapping[str, Mapping[float, float]], price_decimals: int, lot_decimals: int) -> int:
    """CRC-32 of the digits of the best ten asks and bids (amounts by price), as Kraken's manual has it."""
    best = sorted(book["asks"].items())[:_CHECKED_LEVELS]
    best += sorted(book["bids"].items(), reverse=True)[:_CHECKED_LEVELS]
    digits = (
        f"{number:.{places}f}".replace(".", "").lstrip("0")
        for level in best
        for number, places in zip(level, (price_decimals, lot_decimals), strict=True)
    )
    return zlib.crc32("".join(digits).encode())


def channel_problem(params: Params) -> str | None:
    """Why Kraken would refuse to subscribe to this, whatever the pair; None when it would not."""
    match params.get("channel"):
        case "ticker" | "trade":
            return None
        case "book":
            fits = params.get("depth", BOOK_DEPTHS[0]) in BOOK_DEPTHS
            return None if fits else "Subscription depth not supported"
        case "ohlc":
            fits = params.get("interval", INTERVALS[0]) in INTERVALS
            return None if fits else "Subscription ohlc interval not supported"
        case other:
            return f"Subscription name invalid: {other}"


def open_channel(params: Params, pair: Pair, endpoints: Endpoints) -> Channel:
    """Of a subscription that has no `channel_problem`."""
    match params["channel"]:
        case "ticker":
            return TickerChannel(endpoints, pair)
        case "trade":
            return TradeChannel(endpoints, pair)
        case "book":
            return BookChannel(endpoints, pair, params.get("depth", BOOK_DEPTHS[0]))
        case _:
            return CandleChannel(endpoints, pair, params.get("interval", INTERVALS[0]))


def _changes(told: Mapping[float, float], now: Mapping[float, float]) -> Mapping[float, float]:
    """The levels that differ; 0 for those that are gone."""
    gone = {price: 0.0 for price in told if price not in now}
    return gone | {price: amount for price, amount in now.items() if told.get(price) != amount}


def _levels(side: Mapping[float, float]) -> list[Frame]:
    return [{"price": price, "qty": amount} for price, amount in side.items()]


def _stamp(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
