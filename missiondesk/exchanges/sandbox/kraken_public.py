"""Kraken's public REST endpoints: parameters in, the `result` of the answer out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np

from missiondesk.exchanges.sandbox.bars import MINUTE, Bars, Floats
from missiondesk.exchanges.sandbox.depth import DEEPEST
from missiondesk.exchanges.sandbox.kraken_words import KrakenError, integer, one_of_pairs, wire_price
from missiondesk.exchanges.sandbox.market import Market
from missiondesk.exchanges.sandbox.pairs import Pair, altname, asset_decimals, asset_id
from missiondesk.exchanges.sandbox.ticks import SECONDS_A_TICK, Ticks
from models.market import Level

Params = Mapping[str, Any]

INTERVALS = (1, 5, 15, 30, 60, 240, 1440, 10080, 21600)
"""Minutes of the candles Kraken serves."""

MOST_CANDLES = 720
MOST_TRADES = 1000
_DAY = 86_400
_NANOSECONDS = 1_000_000_000
_MARKED_IN_NANOSECONDS = 10**15  # a `since` above this can't be seconds


class KrakenPublic:
    """Answers from one market. `now` is unix seconds; raises KrakenError."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self.endpoints: Mapping[str, Callable[[Params, float], Any]] = {
            "Time": self._time,
            "SystemStatus": self._status,
            "Assets": self._assets,
            "AssetPairs": self._pairs,
            "OHLC": self._candles,
            "Ticker": self._ticker,
            "Depth": self._depth,
            "Trades": self._trades,
        }

    def _time(self, params: Params, now: float) -> Any:
        at = datetime.fromtimestamp(int(now), UTC)
        return {"unixtime": int(now), "rfc1123": f"{at:%a, %d %b %y %H:%M:%S +0000}"}

    def _status(self, params: Params, now: float) -> Any:
        return {"status": "online", "timestamp": f"{datetime.fromtimestamp(now, UTC):%Y-%m-%dT%H:%M:%SZ}"}

    def _assets(self, params: Params, now: float) -> Any:
        known = {asset_id(code): code for code in self._market.listing.assets}
        asked = [name for name in str(params.get("asset", "")).split(",") if name]
        by_name = known | {name: code for code in known.values() for name in (code, altname(code))}
        if any(name not in by_name for name in asked):
            raise KrakenError("EQuery:Unknown asset")
        codes = [by_name[name] for name in asked] or list(known.values())
        return {asset_id(code): _asset(code) for code in codes}

    def _pairs(self, params: Params, now: float) -> Any:
        return {pair.id: self._pair(pair) for pair in self._asked(params)}

    def _candles(self, params: Params, now: float) -> Any:
        pair = one_of_pairs(self._market, params.get("pair"))
        minutes = integer(params, "interval", 1)
        if minutes not in INTERVALS or minutes % self._market.resolution(pair.symbol):
            raise KrakenError("EGeneral:Invalid arguments")
        bars = self._market.candles(pair.symbol, minutes, now, MOST_CANDLES)
        closed = int(bars.opened[-2]) if len(bars) > 1 else int(bars.opened[-1]) - minutes * MINUTE
        newer = bars.select(bars.opened > integer(params, "since", 0))
        return {pair.id: _candle_rows(newer, minutes, pair.price_decimals), "last": closed}

    def _ticker(self, params: Params, now: float) -> Any:
        return {pair.id: self._day(pair, now) for pair in self._asked(params)}

    def _depth(self, params: Params, now: float) -> Any:
        pair = one_of_pairs(self._market, params.get("pair"))
        count = integer(params, "count", 100)
        if not 1 <= count <= DEEPEST:
            raise KrakenError("EGeneral:Invalid arguments:count")
        book = self._market.book(pair.symbol, now, count)
        stamp = int(now) // SECONDS_A_TICK * SECONDS_A_TICK

        def side(levels: tuple[Level, ...]) -> list[list[str | int]]:
            return [[wire_price(level.price, pair), f"{level.amount:.3f}", stamp] for level in levels]

        return {pair.id: {"asks": side(book.asks), "bids": side(book.bids)}}

    def _trades(self, params: Params, now: float) -> Any:
        pair = one_of_pairs(self._market, params.get("pair"))
        count = integer(params, "count", MOST_TRADES)
        if not 1 <= count <= MOST_TRADES:
            raise KrakenError("EGeneral:Invalid arguments:count")
        since = integer(params, "since", 0)
        after = since / _NANOSECONDS if since > _MARKED_IN_NANOSECONDS else float(since)
        ticks = (
            self._market.trades_after(pair.symbol, after, now, count)
            if since
            else self._newest_trades(pair, now, count)
        )
        last = round(float(ticks.times[-1]) * _NANOSECONDS) if len(ticks) else since
        return {pair.id: _trade_rows(ticks, pair), "last": str(last)}

    def _newest_trades(self, pair: Pair, now: float, count: int) -> Ticks:
        window = count * SECONDS_A_TICK
        ticks = self._market.ticks(pair.symbol, now - window, now).traded()
        return Ticks(ticks.times[-count:], ticks.prices[-count:], ticks.volumes[-count:])

    def _day(self, pair: Pair, now: float) -> Any:
        """The ticker: best prices, and today's (UTC) and the last 24 hours' sums."""
        finest = self._market.resolution(pair.symbol)
        minutes = finest if 15 % finest else 15
        bars = self._market.bars(pair.symbol, minutes, now, max(1, 1440 // minutes))
        today = bars.select(bars.opened >= int(now) // _DAY * _DAY)
        if not len(today):
            today = bars.select(slice(-1, None))
        book = self._market.book(pair.symbol, now, 1)
        price = self._market.price(pair.symbol, now)
        newest = self._newest_trades(pair, now, 12)
        lot = Decimal(f"{newest.volumes[-1]:.8f}") if len(newest) else Decimal(0)
        both = (today, bars)
        return {
            "a": _best(book.asks[0], pair),
            "b": _best(book.bids[0], pair),
            "c": [wire_price(price, pair), f"{lot:.8f}"],
            "v": [f"{each.volume.sum():.8f}" for each in both],
            "p": [wire_price(_mean_price(each), pair) for each in both],
            "t": [int(np.count_nonzero(each.volume)) * minutes * MINUTE // SECONDS_A_TICK for each in both],
            "l": [wire_price(each.low.min(), pair) for each in both],
            "h": [wire_price(each.high.max(), pair) for each in both],
            "o": wire_price(today.open[0], pair),
        }

    def _asked(self, params: Params) -> list[Pair]:
        """The pairs a comma-separated `pair` names; all of them without it."""
        names = [name for name in str(params.get("pair", "")).split(",") if name]
        return [one_of_pairs(self._market, name) for name in names] or list(self._market.listing)

    def _pair(self, pair: Pair) -> Any:
        halted = self._market.staging(pair.symbol).halted
        margin = dict.fromkeys(("long_position_limit", "short_position_limit"), 80) if pair.leverages else {}
        return {
            "altname": pair.altname,
            "wsname": pair.wsname,
            "aclass_base": "currency",
            "base": asset_id(pair.base),
            "aclass_quote": "currency",
            "quote": asset_id(pair.quote),
            "lot": "unit",
            "cost_decimals": pair.cost_decimals,
            "pair_decimals": pair.price_decimals,
            "lot_decimals": pair.lot_decimals,
            "lot_multiplier": 1,
            "leverage_buy": list(pair.leverages),
            "leverage_sell": list(pair.leverages),
            "fees": [[0, float(pair.taker * 100)]],
            "fees_maker": [[0, float(pair.maker * 100)]],
            "fee_volume_currency": "ZUSD",
            "margin_call": 80,
            "margin_stop": 40,
            "ordermin": str(pair.order_minimum),
            "costmin": str(pair.cost_minimum),
            "tick_size": str(pair.tick),
            "status": "cancel_only" if halted else "online",
            **margin,
        }


def _asset(code: str) -> Any:
    decimals = asset_decimals(code)
    return {
        "aclass": "currency",
        "altname": altname(code),
        "decimals": decimals,
        "display_decimals": 2 if decimals == 5 else 5,
        "status": "enabled",
    }


def _candle_rows(bars: Bars, minutes: int, decimals: int) -> list[list[Any]]:
    """[opened, open, high, low, close, vwap, volume, trades] with prices to the pair's decimals."""
    means = np.where(bars.volume > 0, (bars.open + 2 * bars.high + 2 * bars.low + bars.close) / 6, 0.0)
    trades = np.where(bars.volume > 0, minutes * MINUTE // SECONDS_A_TICK, 0)

    def written(prices: Floats) -> list[str]:
        return [f"{price:.{decimals}f}" for price in prices.tolist()]

    columns = (
        bars.opened.tolist(),
        *(written(prices) for prices in (bars.open, bars.high, bars.low, bars.close, means)),
        [f"{volume:.8f}" for volume in bars.volume.tolist()],
        trades.tolist(),
    )
    return [list(row) for row in zip(*columns, strict=True)]


def _trade_rows(ticks: Ticks, pair: Pair) -> list[list[Any]]:
    """[price, volume, time, buy or sell, market or limit, "", id]; a falling price was sold."""
    sides = np.where(np.diff(ticks.prices, prepend=ticks.prices[:1]) < 0, "s", "b")
    rows = zip(
        ticks.times.tolist(), ticks.prices.tolist(), ticks.volumes.tolist(), sides.tolist(), strict=True
    )
    return [
        [wire_price(price, pair), f"{volume:.8f}", at, side, "m", "", round(at * 1000)]
        for at, price, volume, side in rows
    ]


def _best(level: Level, pair: Pair) -> list[str]:
    return [wire_price(level.price, pair), str(max(1, int(level.amount))), f"{level.amount:.3f}"]


def _mean_price(bars: Bars) -> float:
    """By volume; the plain mean of closes when nothing traded."""
    typical = (bars.open + 2 * bars.high + 2 * bars.low + bars.close) / 6
    total = float(bars.volume.sum())
    return float((typical * bars.volume).sum() / total) if total else float(bars.close.mean())
