"""Operands: a number, or an indicator of a market, and their values as of a tick.

Columns and indicators are read from closed candles, `offset` candles back. `price` alone is "now": the newest
trade price or 1-minute close, and its label says which.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator

from missiondesk.market.candles import Candles
from missiondesk.market.indicators import Indicator, indicator, value_at
from missiondesk.templates.context import Context
from missiondesk.templates.params import ExchangeName, Params, Symbol, Timeframe, accepted
from missiondesk.templates.source import Source, described
from missiondesk.templates.stored import (
    INCOMPLETE,
    StoredMarketData,
    StoredValues,
    from_table,
    on_the_fly,
    stale,
    stored_columns,
)
from models.errors import InputRefused

MOST_CANDLES: Final = 1000
NOW: Final = "price"


def _number(given: Any) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not math.isfinite(given):
        raise ValueError(f'expected a number or an object such as {{"indicator": "rsi"}}, got {given!r}')
    return float(given)


class IndicatorOperand(Params):
    """An indicator with its own parameters beside the named fields (`length`, `fast`, …)."""

    model_config = ConfigDict(extra="allow")

    indicator: str = Field(description="open … volume, price, rsi, … or a TA-Lib function in lower case")
    symbol: Symbol | None = None
    exchange: ExchangeName | None = None
    timeframe: Timeframe | None = None
    offset: int = Field(default=0, ge=0, lt=MOST_CANDLES, description="Closed candles back")

    @model_validator(mode="after")
    def _is_an_indicator(self) -> IndicatorOperand:
        accepted(IndicatorOperand._check)(self)
        return self

    def _check(self) -> None:
        needed = self.spec.needed + self.offset + 1
        if needed > MOST_CANDLES:
            raise InputRefused(
                f"expected an indicator of at most {MOST_CANDLES} candles, got {self.spec.label} of {needed}"
            )
        if self.is_now and self.offset:
            raise InputRefused(
                f"expected no offset for {NOW}, which is now, got {self.offset}; close takes one"
            )

    @property
    def spec(self) -> Indicator:
        return indicator(self.indicator, self.model_extra)

    @property
    def is_now(self) -> bool:
        return self.indicator == NOW


def _shape(given: Any) -> str:
    return "~indicator" if isinstance(given, dict | IndicatorOperand) else "~number"


Operand = Annotated[
    Annotated[float, BeforeValidator(_number), Tag("~number")]
    | Annotated[IndicatorOperand, Tag("~indicator")],
    Discriminator(_shape),
]


@dataclass(frozen=True)
class Surroundings:
    """What an operand may leave out, as the Task's own params have it."""

    symbol: str | None = None
    exchange: str | None = None
    timeframe: str | None = None

    def missing(self, operand: IndicatorOperand) -> list[str]:
        """The fields that neither the operand nor the Task has."""
        missing = [] if operand.symbol or self.symbol else ["symbol"]
        return missing if operand.is_now or operand.timeframe or self.timeframe else [*missing, "timeframe"]


@dataclass(frozen=True)
class Value:
    """An operand's value, and the one of the closed candle before where that was asked for.

    A plain number has no label.
    """

    now: float
    before: float | None = None
    label: str = ""


class Readings:
    """What several operands are read from, each source once, so that all of them see the same candles.

    A source whose operands all stand in the desk's tables is read there while these are fresh. Of others the
    closed candles are loaded: a recursive indicator gets as many as make its value independent of where they
    begin (at most 1000), a windowed one exactly its window: equal candles give equal values at every tick.
    """

    def __init__(
        self, context: Context, around: Surroundings, operands: Iterable[Operand], *, crossing: bool = False
    ) -> None:
        self._context, self._around, self._crossing = context, around, crossing
        read: dict[Source, list[IndicatorOperand]] = {}
        for operand in operands:
            if isinstance(operand, IndicatorOperand):
                read.setdefault(self._source(operand), []).append(operand)
        self._stored: dict[Source, StoredValues] = {}
        self._candles: dict[Source, Candles] = {}
        self._read: list[str] = []
        for source, its_operands in read.items():
            if source.timeframe is not None:
                self._load(source, source.timeframe, its_operands)
        self._several_markets = len({source.market for source in read}) > 1
        self._several_timeframes = len({source.timeframe for source in read if source.timeframe}) > 1
        with_candles = {source.market for source in read if source.timeframe is not None}
        now = [source.market for source in read if source.timeframe is None]
        self._read += [market for market in now if market not in with_candles]

    def value(self, operand: Operand) -> Value:
        """Raises TooFewCandles and UndefinedIndicator."""
        if not isinstance(operand, IndicatorOperand):
            return Value(operand, operand)
        source = self._source(operand)
        if source.timeframe is None:
            price, which = self._context.markets.latest_price(
                source.exchange, source.symbol, self._context.now
            )
            return Value(float(price), label=self._label(source, f"{NOW} ({which})"))
        back = f" {operand.offset} back" if operand.offset else ""
        label = self._label(source, operand.spec.label + back)
        before = self._value_at(source, operand.spec, operand.offset + 1) if self._crossing else None
        return Value(self._value_at(source, operand.spec, operand.offset), before, label)

    @property
    def sources(self) -> str:
        """Everything that was read, for messages."""
        return "; ".join(self._read)

    def _load(self, source: Source, timeframe: str, operands: Sequence[IndicatorOperand]) -> None:
        most = max(operand.spec.wanted + operand.offset + self._crossing for operand in operands)
        wanted = min(most, MOST_CANDLES)
        stored, remark = self._in_table(source, operands, wanted)
        if stored is not None:
            self._stored[source] = stored
            self._read.append(from_table(source, stored))
            return
        candles = self._context.markets.closed_candles(
            source.exchange, source.symbol, timeframe, wanted, self._context.now
        )
        self._candles[source] = candles
        self._read.append(on_the_fly(source, candles, remark) if remark else described(source, candles))

    def _in_table(
        self, source: Source, operands: Sequence[IndicatorOperand], wanted: int
    ) -> tuple[StoredValues | None, str]:
        """The table's values where it has all that is needed; otherwise what to remark on it."""
        markets, specs = self._context.markets, {operand.spec for operand in operands}
        if not isinstance(markets, StoredMarketData) or not specs <= stored_columns().keys():
            return None, ""
        count = max(operand.offset for operand in operands) + 1 + self._crossing
        stored = markets.stored_values(source, specs, count, wanted, self._context.now)
        if stored is None:
            return None, ""
        if not stored.fresh:
            return None, stale(stored.opened)
        return (stored, "") if stored.hold(specs, count) else (None, INCOMPLETE)

    def _value_at(self, source: Source, spec: Indicator, offset: int) -> float:
        stored = self._stored.get(source)
        return value_at(self._candles[source], spec, offset) if stored is None else stored.rows[offset][spec]

    def _source(self, operand: IndicatorOperand) -> Source:
        symbol = operand.symbol or self._around.symbol
        timeframe = None if operand.is_now else operand.timeframe or self._around.timeframe
        if symbol is None or (timeframe is None and not operand.is_now):
            raise InputRefused(f"expected {operand.indicator} to have a symbol and a timeframe, got neither")
        return Source(operand.exchange or self._around.exchange or self._context.exchange, symbol, timeframe)

    def _label(self, source: Source, label: str) -> str:
        parts = [source.market] if self._several_markets else []
        if self._several_timeframes and source.timeframe is not None:
            parts.append(source.timeframe)
        return " ".join([*parts, label])
