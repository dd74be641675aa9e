"""What a client of Kraken's public websocket (v2) has subscribed to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from missiondesk.exchanges.sandbox.kraken_channels import (
    Channel,
    Frame,
    Params,
    channel_problem,
    open_channel,
)
from missiondesk.exchanges.sandbox.kraken_public import KrakenPublic
from missiondesk.exchanges.sandbox.kraken_words import KrakenError
from missiondesk.exchanges.sandbox.market import Market

Request = Mapping[str, Any]
Reply = Mapping[str, Any]


class Subscriptions:
    """The public channels that one connection listens to."""

    def __init__(self, market: Market, clock: Callable[[], float]) -> None:
        self._market = market
        self._endpoints = KrakenPublic(market).endpoints
        self._clock = clock
        self._channels: dict[tuple[str, str], Channel] = {}

    def replies(self, request: Request) -> Sequence[Reply]:
        """What is said at once; raises KrakenError for a request as a whole."""
        params = request.get("params")
        symbols = params.get("symbol") if isinstance(params, dict) else None
        if request.get("method") not in ("subscribe", "unsubscribe"):
            raise KrakenError("Event(s) not found")
        if not isinstance(params, dict) or not isinstance(symbols, list):
            raise KrakenError("Malformed request")
        opens = request["method"] == "subscribe"
        return [self._opened(params, symbol) if opens else self._closed(params, symbol) for symbol in symbols]

    def frames(self) -> Sequence[Frame]:
        """What has changed on the channels."""
        now = self._clock()
        return [frame for channel in self._channels.values() for frame in channel.frames(now)]

    @property
    def listens(self) -> bool:
        return bool(self._channels)

    def _opened(self, params: Params, symbol: str) -> Reply:
        # Its websocket calls a pair as everybody does, and knows neither XBT nor XXBTZUSD.
        pair = next((pair for pair in self._market.listing if pair.symbol == symbol), None)
        key = (str(params.get("channel")), symbol)
        problem = f"Currency pair not supported {symbol}" if pair is None else channel_problem(params)
        if problem is None and key in self._channels:
            problem = "Already subscribed"
        if problem is not None or pair is None:
            return {"error": problem, "success": False, "symbol": symbol}
        self._channels[key] = open_channel(params, pair, self._endpoints)
        return {"result": {**params, "symbol": symbol}, "success": True}

    def _closed(self, params: Params, symbol: str) -> Reply:
        if self._channels.pop((str(params.get("channel")), symbol), None) is None:
            return {"error": "Subscription Not Found", "success": False, "symbol": symbol}
        return {"result": {**params, "symbol": symbol}, "success": True}
