"""OKX's public REST endpoints: parameters in, the `data` of the answer out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

import numpy as np

from missiondesk.exchanges.sandbox.bars import MINUTE, Bars
from missiondesk.exchanges.sandbox.depth import DEEPEST
from missiondesk.exchanges.sandbox.market import Market
from missiondesk.exchanges.sandbox.okx_listing import instrument_id, instrument_type, written_instrument
from missiondesk.exchanges.sandbox.okx_words import (
    Instruments,
    Params,
    instant,
    milliseconds,
    parameter_error,
    plain,
    whole,
)
from missiondesk.exchanges.sandbox.pairs import Pair
from missiondesk.exchanges.sandbox.ticks import SECONDS_A_TICK, Ticks
from models.market import Level

_DAY: Final = 1440
_WEEK: Final = 7 * _DAY
# Weeks counted from the epoch open on Thursday, OKX's on Monday.
_TO_MONDAY: Final = 4 * _DAY * MINUTE
_BARS: Final = {
    "1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "1H": 60, "2H": 120, "4H": 240, "6Hutc": 360,
    "12Hutc": 720, "1Dutc": _DAY, "1Wutc": _WEEK,
}  # fmt: skip
_MOST_CANDLES: Final = 300
_MOST_TRADES: Final = 500


class OkxPublic:
    """Answers from one market. `now` is unix seconds; raises OkxError."""

    def __init__(self, market: Market, instruments: Instruments) -> None:
        self._market = market
        self._instruments = instruments
        self.endpoints: Mapping[str, Callable[[Params, float], list[Any]]] = {
            "GET public/time": lambda params, now: [{"ts": milliseconds(now)}],
            "GET public/instruments": self._listed,
            "GET market/ticker": self._ticker,
            "GET market/books": self._book,
            "GET market/books-full": self._book,
            "GET market/trades": self._trades,
            "GET market/candles": self._candles,
            "GET market/history-candles": self._candles,
        }

    def _listed(self, params: Params, now: float) -> list[Any]:
        kind = params.get("instType")
        if kind not in ("SPOT", "SWAP", "FUTURES", "OPTION", "MARGIN"):
            raise parameter_error("instType")
        listed = self._instruments.listed(now)
        return [written_instrument(pair, now) for pair in listed if instrument_type(pair) == kind]

    def _ticker(self, params: Params, now: float) -> list[Any]:
        pair = self._instruments.find(params, now)
        book = self._market.book(pair.symbol, now, 1)
        day = self._market.bars(pair.symbol, 60, now, 24)
        newest = self._newest(pair, now, 1)
        last = plain(self._market.price(pair.symbol, now))
        return [
            {
                "instType": instrument_type(pair),
                "instId": instrument_id(pair),
                "last": last,
                "lastSz": _size(float(newest.volumes[-1]), pair) if len(newest) else "0",
                "askPx": plain(book.asks[0].price),
                "askSz": plain(book.asks[0].amount),
                "bidPx": plain(book.bids[0].price),
                "bidSz": plain(book.bids[0].amount),
                "open24h": _price(float(day.open[0]), pair),
                "high24h": _price(float(day.high.max()), pair),
                "low24h": _price(float(day.low.min()), pair),
                "vol24h": f"{day.volume.sum():.4f}",
                "volCcy24h": f"{(_coins(day, pair)).sum():.4f}",
                "ts": milliseconds(now),
            }
        ]

    def _book(self, params: Params, now: float) -> list[Any]:
        pair = self._instruments.find(params, now)
        book = self._market.book(pair.symbol, now, whole(params, "sz", 1, DEEPEST))

        def side(levels: tuple[Level, ...]) -> list[list[str]]:
            return [[plain(level.price), plain(level.amount), "0", "1"] for level in levels]

        return [{"asks": side(book.asks), "bids": side(book.bids), "ts": milliseconds(now)}]

    def _trades(self, params: Params, now: float) -> list[Any]:
        """The newest ones, newest first; those smaller than a lot are left out."""
        pair = self._instruments.find(params, now)
        ticks = self._newest(pair, now, whole(params, "limit", 100, _MOST_TRADES))
        sides = np.where(np.diff(ticks.prices, prepend=ticks.prices[:1]) < 0, "sell", "buy")
        rows = zip(
            ticks.times.tolist(), ticks.prices.tolist(), ticks.volumes.tolist(), sides.tolist(), strict=True
        )
        written = [
            {
                "instId": instrument_id(pair),
                "side": side,
                "sz": _size(volume, pair),
                "px": _price(price, pair),
                "tradeId": milliseconds(at),
                "ts": milliseconds(at),
            }
            for at, price, volume, side in rows
        ]
        return [trade for trade in reversed(written) if trade["sz"] != "0"]

    def _candles(self, params: Params, now: float) -> list[Any]:
        """Newest first, between `before` and `after` (neither included), the running one with them."""
        pair = self._instruments.find(params, now)
        minutes = _BARS.get(str(params.get("bar") or "1m"))
        if minutes is None or minutes % self._market.resolution(pair.symbol):
            raise parameter_error("bar")
        limit = whole(params, "limit", 100, _MOST_CANDLES)
        first, last = instant(params, "before", 0.0), instant(params, "after", float("inf"))
        reach = limit if last > now else int((now - last) // (minutes * MINUTE)) + limit + 1
        bars = self._bars(pair, minutes, now, reach)
        bars = bars.select((bars.opened > first) & (bars.opened < last)).select(slice(-limit, None))
        return _candle_rows(bars, pair, now, minutes)

    def _bars(self, pair: Pair, minutes: int, now: float, count: int) -> Bars:
        if minutes != _WEEK:
            return self._market.candles(pair.symbol, minutes, now, count)
        days = self._market.candles(pair.symbol, _DAY, now, 7 * count)
        weeks = days.moved(-_TO_MONDAY).aggregate(_WEEK).moved(_TO_MONDAY)
        return weeks.select(weeks.opened >= days.opened[0])

    def _newest(self, pair: Pair, now: float, count: int) -> Ticks:
        ticks = self._market.ticks(pair.symbol, now - (count + 1) * SECONDS_A_TICK, now).traded()
        return Ticks(ticks.times[-count:], ticks.prices[-count:], ticks.volumes[-count:])


def _candle_rows(bars: Bars, pair: Pair, now: float, minutes: int) -> list[list[str]]:
    """[opened, open, high, low, close, volume, in coins, in quote, whether it is closed]"""
    coins = _coins(bars, pair)
    columns = zip(
        bars.opened.tolist(),
        bars.open.tolist(),
        bars.high.tolist(),
        bars.low.tolist(),
        bars.close.tolist(),
        bars.volume.tolist(),
        coins.tolist(),
        strict=True,
    )
    rows = [
        [
            milliseconds(opened),
            *(_price(price, pair) for price in prices),
            f"{volume:.8f}",
            f"{in_coins:.8f}",
            f"{in_coins * prices[-1]:.4f}",
            "1" if opened + minutes * MINUTE <= now else "0",
        ]
        for opened, *prices, volume, in_coins in columns
    ]
    return rows[::-1]


def _coins(bars: Bars, pair: Pair) -> Any:
    """Volume in coins: contracts at the closing price."""
    contract = pair.contract
    if contract is None:
        return bars.volume
    coins = bars.volume * float(contract.size)
    return coins / bars.close if contract.inverse else coins


def _price(price: float, pair: Pair) -> str:
    return f"{price:.{pair.price_decimals}f}"


def _size(volume: float, pair: Pair) -> str:
    if pair.contract is None:
        return f"{volume:.8f}"
    return plain(Decimal(int(volume / float(pair.lot))) * pair.lot)
