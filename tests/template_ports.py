"""The ports of templates as small programs in memory: candles, a book that fills, Conditions, memory."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from missiondesk.market.candles import Candles
from missiondesk.templates.context import Context
from models.account import Mode
from models.errors import DataStale, InputRefused, UnknownName
from models.market import Ticker
from models.mission import MissionTask
from models.order import LeafKey, Order, OrderProgress, OrderStatus, Position, TradeRequest

Market = tuple[str, str, str]


@cache
def recorded(path: Path, timeframe: str, symbol: str) -> Candles:
    """A whole candle file."""
    with gzip.open(path, "rt") as file:
        rows = [[float(cell) for cell in row[:6]] for row in list(csv.reader(file))[1:]]
    return Candles.from_rows(rows, timeframe, symbol)


def drawn(closes: Iterable[float], timeframe: str = "1h", symbol: str = "BTC/USD") -> Candles:
    """Candles of our own making: open = the close before, volume 1, from 2024-01-01 on."""
    start = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp() * 1000)
    step, rows, before = 3_600_000 if timeframe == "1h" else 60_000, [], None
    for index, close in enumerate(closes):
        opened = close if before is None else before
        rows.append([start + index * step, opened, max(opened, close), min(opened, close), close, 1.0])
        before = close
    return Candles.from_rows(rows, timeframe, symbol)


@dataclass
class FileMarkets:
    """Serves the candles it is given as of `now`. Price now: from `prices`, else the newest close."""

    series: dict[Market, Candles]
    prices: dict[str, Decimal] = field(default_factory=dict)
    tickers: dict[str, Ticker] = field(default_factory=dict)
    stale: set[str] = field(default_factory=set)
    asked: list[tuple[Market, int]] = field(default_factory=list)

    def closed_candles(
        self, exchange: str, symbol: str, timeframe: str, count: int, now: datetime
    ) -> Candles:
        market = (exchange, symbol, timeframe)
        self.asked.append((market, count))
        if not 1 <= count <= 1000:
            raise InputRefused(f"expected 1 to 1000 candles, got {count}")
        if market not in self.series:
            raise UnknownName("market", market, self.series)
        if symbol in self.stale:
            raise DataStale(f"the newest {timeframe} candle of {symbol} is not served yet")
        return self.series[market].closed_at(now)[-count:]

    def latest_price(self, exchange: str, symbol: str, now: datetime) -> tuple[Decimal, str]:
        if symbol in self.stale:
            raise DataStale(f"no trade of {symbol} in the last minute")
        if symbol in self.prices:
            return self.prices[symbol], "last trade"
        candles = next(candles for market, candles in self.series.items() if market[:2] == (exchange, symbol))
        return Decimal(str(candles.closed_at(now).close[-1])), "1m close"

    def ticker(self, exchange: str, symbol: str) -> Ticker:
        return self.tickers[f"{exchange}:{symbol}"]


@dataclass
class ConditionBoard:
    board: dict[str, bool] = field(default_factory=dict)

    def exists(self, name: str) -> bool:
        return name in self.board

    def read(self, name: str) -> bool:
        return self.board.setdefault(name, False)

    def write(self, name: str, valid: bool) -> None:
        self.board[name] = valid


@dataclass
class LittleBook:
    """Fills at `price`, at once or (`resting`) when told to; denies while `denying`. One order a place."""

    price: Decimal = Decimal(100)
    resting: bool = False
    denying: bool = False
    orders: dict[LeafKey, Order] = field(default_factory=dict)
    requests: list[TradeRequest] = field(default_factory=list)
    held: dict[str, Position] = field(default_factory=dict)

    def work(self, request: TradeRequest, now: datetime) -> OrderProgress:
        order = self.orders.get(request.key)
        if order is None:
            if self.denying:
                return OrderProgress(False, "DENIED", "the desk is halted")
            self.requests.append(request)
            order = self._order(request, now)
            self.orders[request.key] = order
        if order.status is OrderStatus.FILLED:
            return OrderProgress(
                True, "FILLED", f"{order.side} {order.amount} filled", order.filled, order=order
            )
        return OrderProgress(False, "OPEN", f"{order.side} {order.amount} rests", order.filled, order=order)

    def filled(self, key: LeafKey) -> bool:
        return key in self.orders and self.orders[key].status is OrderStatus.FILLED

    def started(self, key: LeafKey) -> Order | None:
        return self.orders.get(key)

    def position(
        self, account: str, mode: Mode, mission_id: int, exchange: str, symbol: str
    ) -> Position | None:
        return self.held.get(symbol)

    closable = position

    def fill(self) -> None:
        """Every resting order is filled, and the positions they close are gone."""
        for key, order in self.orders.items():
            filled = order.model_copy(update={"status": OrderStatus.FILLED, "filled": order.amount})
            self.orders[key] = filled
            if order.reduce_only:
                self.held.pop(order.symbol, None)

    def _order(self, request: TradeRequest, now: datetime) -> Order:
        status = OrderStatus.OPEN if self.resting else OrderStatus.FILLED
        return Order(
            client_order_id=f"{len(self.orders):032x}",
            account=request.account,
            exchange=request.exchange,
            symbol=request.symbol,
            side=request.side,
            type="market" if request.price is None else "limit",
            amount=request.amount,
            price=request.price,
            mode=request.mode,
            reduce_only=request.reduce_only,
            status=status,
            filled=Decimal(0) if self.resting else request.amount,
            created_at=now,
            updated_at=now,
        )


@dataclass
class Remembered:
    passed: set[LeafKey] = field(default_factory=set)

    def has_passed(self, key: LeafKey) -> bool:
        return key in self.passed

    def remember(self, key: LeafKey) -> None:
        self.passed.add(key)


@dataclass
class TemplateDesk:
    """Everything a template can reach, and the contexts of a Missionary's first Task."""

    markets: FileMarkets
    conditions: ConditionBoard = field(default_factory=ConditionBoard)
    orders: LittleBook = field(default_factory=LittleBook)
    memory: Remembered = field(default_factory=Remembered)

    def context(self, now: datetime, exchange: str = "kraken") -> Context:
        return Context(
            mission_id=1,
            mission="btc-dip",
            missionary_id=7,
            task_id=3,
            task="step",
            role="task",
            task_index=0,
            account="paper",
            mode="paper",
            exchange=exchange,
            scheduled_at=now,
            now=now,
            markets=self.markets,
            conditions=self.conditions,
            orders=self.orders,
            memory=self.memory,
        )


def task_of(template: str, params: Mapping[str, Any] | None = None, **columns: Any) -> MissionTask:
    row = {"id": 3, "name": "step", "template": template, "params": dict(params or {}), **columns}
    return MissionTask.from_row(row)
