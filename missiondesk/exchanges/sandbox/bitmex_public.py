"""BitMEX's public REST endpoints: parameters in, the answer out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from missiondesk.exchanges.sandbox.bars import MINUTE
from missiondesk.exchanges.sandbox.bitmex_listing import written_instrument
from missiondesk.exchanges.sandbox.bitmex_words import (
    ASSETS,
    BitmexError,
    Params,
    instant,
    one_of_pairs,
    stamp,
    truth,
    whole,
)
from missiondesk.exchanges.sandbox.depth import DEEPEST
from missiondesk.exchanges.sandbox.market import Market
from missiondesk.exchanges.sandbox.pairs import Pair
from missiondesk.exchanges.sandbox.ticks import SECONDS_A_TICK, Ticks

_BINS: Final = {"1m": 1, "5m": 5, "1h": 60, "1d": 1440}
_MOST: Final = 1000


class BitmexPublic:
    """Answers from one market. `now` is unix seconds; raises BitmexError."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self.endpoints: Mapping[str, Callable[[Params, float], Any]] = {
            "GET instrument": self._instrument,
            "GET instrument/active": self._active,
            "GET wallet/assets": self._assets,
            "GET orderBook/L2": self._book,
            "GET trade": self._trades,
            "GET trade/bucketed": self._bins,
        }

    def _active(self, params: Params, now: float) -> Any:
        return [written_instrument(pair, self._market, now) for pair in self._market.listing]

    def _instrument(self, params: Params, now: float) -> Any:
        return [written_instrument(one_of_pairs(self._market.listing, params), self._market, now)]

    def _assets(self, params: Params, now: float) -> Any:
        return [
            {"asset": name, "currency": unit, "majorCurrency": name, "name": name, "currencyType": "Crypto"}
            | {"scale": decimals, "enabled": True, "isMarginCurrency": True, "networks": []}
            for name, unit, decimals in ASSETS.values()
        ]

    def _book(self, params: Params, now: float) -> Any:
        pair = one_of_pairs(self._market.listing, params)
        book = self._market.book(pair.symbol, now, whole(params, "depth", 25, DEEPEST))
        return [
            {
                "symbol": pair.id,
                "id": number,
                "side": side,
                "size": int(level.amount),
                "price": float(level.price),
                "timestamp": stamp(now),
            }
            for side, levels in (("Sell", book.asks[::-1]), ("Buy", book.bids))
            for number, level in enumerate(levels)
        ]

    def _trades(self, params: Params, now: float) -> Any:
        """From `startTime` on, or the newest ones first; those smaller than a lot are left out."""
        pair = one_of_pairs(self._market.listing, params)
        count, since = whole(params, "count", 100, _MOST), instant(params, "startTime", 0.0)
        if truth(params, "reverse"):
            ticks = self._market.ticks(pair.symbol, now - (count + 1) * SECONDS_A_TICK, now).traded()
            return _trade_rows(ticks, pair)[::-1][:count]
        ticks = self._market.trades_after(pair.symbol, since - 1e-3, now, count)
        return _trade_rows(ticks, pair)[:count]

    def _bins(self, params: Params, now: float) -> Any:
        """Candles, each stamped with its end; with `partial` the running one is among them."""
        pair = one_of_pairs(self._market.listing, params)
        minutes = _BINS.get(str(params.get("binSize") or "1m"))
        if minutes is None or minutes % self._market.resolution(pair.symbol):
            raise BitmexError(400, "binSize is invalid")
        size, count = minutes * MINUTE, whole(params, "count", 100, _MOST)
        newest_first, since = truth(params, "reverse"), instant(params, "startTime", 0.0)
        reach = count + 1 if newest_first else max(2, int((now - since) // size) + 3)
        bars = self._market.candles(pair.symbol, minutes, now, reach)
        ends = bars.opened + size
        bars = bars.select((ends >= since) & ((ends <= now) | truth(params, "partial")))
        bars = bars.select(slice(-count, None) if newest_first else slice(None, count))
        rows = [
            {
                "timestamp": stamp(opened + size),
                "symbol": pair.id,
                **dict(zip(("open", "high", "low", "close"), prices, strict=True)),
                "volume": int(volume),
            }
            for opened, *prices, volume in zip(
                bars.opened.tolist(),
                bars.open.tolist(),
                bars.high.tolist(),
                bars.low.tolist(),
                bars.close.tolist(),
                bars.volume.tolist(),
                strict=True,
            )
        ]
        return rows[::-1] if newest_first else rows


def _trade_rows(ticks: Ticks, pair: Pair) -> list[dict[str, Any]]:
    sides = np.where(np.diff(ticks.prices, prepend=ticks.prices[:1]) < 0, "Sell", "Buy")
    sizes = np.floor(ticks.volumes / float(pair.lot)).astype(np.int64) * int(pair.lot)
    rows = zip(ticks.times.tolist(), ticks.prices.tolist(), sizes.tolist(), sides.tolist(), strict=True)
    return [
        {
            "timestamp": stamp(at),
            "symbol": pair.id,
            "side": side,
            "size": size,
            "price": price,
            "trdMatchID": f"00000000-0000-4000-8000-{int(at):012d}",
        }
        for at, price, size, side in rows
        if size
    ]
