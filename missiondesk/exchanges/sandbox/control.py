"""What tests may do that no exchange offers, under /sandbox: see all, arrange the market, break things."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from missiondesk.exchanges.sandbox.exchange import Exchange
from missiondesk.exchanges.sandbox.faults import Fault, Faults
from missiondesk.exchanges.sandbox.market import Staging
from missiondesk.exchanges.sandbox.recording import Recordings


class MarketChange(BaseModel):
    """A change to one pair; fields left out stay as they are, null takes a price or delay back.

    price: holds from now on. frozen: candles are served as they stand now. candles_delay: seconds.
    """

    model_config = ConfigDict(extra="forbid")

    pair: str
    price: Decimal | None = None
    frozen: bool | None = None
    candles_delay: float | None = None
    halted: bool | None = None


class Control:
    """Routes over one exchange; `clock` gives unix seconds."""

    def __init__(
        self,
        exchange: Exchange,
        faults: Faults,
        clock: Callable[[], float],
        recordings: Recordings | None = None,
    ) -> None:
        self._exchange = exchange
        self._recordings = recordings
        self._faults = faults
        self._clock = clock

    def routes(self, under: str = "/sandbox") -> list[Route]:
        return [
            Route(f"{under}/faults", self._faults_listed, methods=["GET"]),
            Route(f"{under}/faults", self._fault_added, methods=["POST"]),
            Route(f"{under}/faults", self._faults_cleared, methods=["DELETE"]),
            Route(f"{under}/orders", self._orders, methods=["GET"]),
            Route(f"{under}/balances", self._balances, methods=["GET", "POST"]),
            Route(f"{under}/markets", self._markets, methods=["GET"]),
            Route(f"{under}/markets", self._market_changed, methods=["POST"]),
            Route(f"{under}/markets", self._markets_restored, methods=["DELETE"]),
        ]

    async def _faults_listed(self, request: Request) -> Response:
        return JSONResponse(self._faults.listed())

    async def _fault_added(self, request: Request) -> Response:
        try:
            self._faults.add(Fault.model_validate_json(await request.body()))
        except ValidationError as invalid:
            return _refused(invalid)
        return JSONResponse(self._faults.listed())

    async def _faults_cleared(self, request: Request) -> Response:
        self._faults.clear()
        return JSONResponse([])

    async def _orders(self, request: Request) -> Response:
        """Every order with its fills, oldest first."""
        self._exchange.advance(self._clock())
        return JSONResponse(
            [
                order.model_dump(mode="json")
                | {"fills": [self._exchange.fill(fill_id).model_dump(mode="json") for fill_id in order.fills]}
                for order in self._exchange.orders
            ]
        )

    async def _balances(self, request: Request) -> Response:
        self._exchange.advance(self._clock())
        if request.method == "POST":
            given: dict[str, Any] = await request.json()
            self._exchange.set_balances({asset: Decimal(str(owned)) for asset, owned in given.items()})
        return JSONResponse({asset: str(owned) for asset, owned in self._exchange.balances.items()})

    async def _markets(self, request: Request) -> Response:
        """Each pair's price, what is staged, and for recorded ones how far they were moved in time."""
        listed = [pair for pair in self._exchange.market.listing if pair.trades_at(self._clock())]
        return JSONResponse({pair.symbol: self._shown(pair.symbol) for pair in listed})

    def _shown(self, symbol: str) -> dict[str, Any]:
        now, market, recordings = self._clock(), self._exchange.market, self._recordings
        staging = asdict(market.staging(symbol))
        shown = {"price": str(market.price(symbol, now)), "staging": staging}
        staging["price"] = None if staging["price"] is None else str(staging["price"])
        if recordings is not None and symbol in recordings.symbols:
            shift = recordings.shift(symbol, datetime.fromtimestamp(now, UTC))
            shown["recording"] = {
                "file": recordings.file(symbol).path.name,
                "shift_seconds": int(shift.total_seconds()),
                "ends_at": recordings.ends_at(symbol).isoformat(),
            }
        return shown

    async def _market_changed(self, request: Request) -> Response:
        now, market = self._clock(), self._exchange.market
        try:
            change = MarketChange.model_validate_json(await request.body())
        except ValidationError as invalid:
            return _refused(invalid)
        pair = market.listing.find(change.pair)
        if pair is None:
            known = sorted(each.symbol for each in market.listing if each.trades_at(now))
            return JSONResponse({"error": f"unknown pair {change.pair!r}; listed: {known}"}, status_code=400)
        self._exchange.stage(pair.symbol, _changed(market.staging(pair.symbol), change, now), now)
        return JSONResponse({"pair": pair.symbol, "price": str(market.price(pair.symbol, now))})

    async def _markets_restored(self, request: Request) -> Response:
        self._exchange.advance(self._clock())
        self._exchange.market.clear_staging()
        return JSONResponse({})


def _changed(staging: Staging, change: MarketChange, now: float) -> Staging:
    given = change.model_fields_set
    return Staging(
        price=change.price if "price" in given else staging.price,
        price_since=now if "price" in given else staging.price_since,
        candles_at=(now if change.frozen else None) if "frozen" in given else staging.candles_at,
        candles_delay=(change.candles_delay or 0.0) if "candles_delay" in given else staging.candles_delay,
        halted=bool(change.halted) if "halted" in given else staging.halted,
    )


def _refused(invalid: ValidationError) -> Response:
    problems = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in invalid.errors()]
    return JSONResponse({"error": "; ".join(problems)}, status_code=400)
