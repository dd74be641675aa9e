"""Operands: a number, or an indicator of a market, and their values as of a tick.

Columns and indicators are read from closed candles, `offset` candles back. `price` alone is "now": the newest
trade price or 1-minute close, and its label says which.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator

from missiondesk.market.candles import Candles, to_datetime
from missiondesk.market.indicators import Indicator, indicator, value_at
from missiondesk.templates.context import Context
from missiondesk.templates.params import ExchangeName, Params, Symbol, Timeframe, accepted
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
class Source:
    """Where an operand is read: the closed candles of a market, or without a timeframe its price now."""

    exchange: str
    symbol: str
    timeframe: str | None

    @property
    def market(self) -> str:
        return f"{self.exchange}:{self.symbol}"


@dataclass(frozen=True)
class Value:
    """An operand's value, and the one of the closed candle before where that was asked for.

    A plain number has no label.
    """

    now: float
    before: float | None = None
    label: str = ""


class Readings:
    """The candles behind several operands, each source fetched once, so that all of them see the same ones.

    A recursive indicator gets as many candles as make its value independent of where they begin (at most
    1000), a windowed one exactly its window: equal candles give equal values at every tick.
    """

    def __init__(
        self, context: Context, around: Surroundings, operands: Iterable[Operand], *, crossing: bool = False
    ) -> None:
        self._context, self._around, self._crossing = context, around, crossing
        counts: dict[Source, int] = {}
        for operand in operands:
            if isinstance(operand, IndicatorOperand):
                wanted = operand.spec.wanted + operand.offset + crossing
                source = self._source(operand)
                counts[source] = max(counts.get(source, 0), min(wanted, MOST_CANDLES))
        self._candles: dict[Source, Candles] = {
            source: context.markets.closed_candles(
                source.exchange, source.symbol, source.timeframe, count, context.now
            )
            for source, count in counts.items()
            if source.timeframe is not None
        }
        self._several_markets = len({source.market for source in counts}) > 1
        self._several_timeframes = len({source.timeframe for source in self._candles}) > 1
        self._markets_now = [source.market for source in counts if source.timeframe is None]

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
        candles, spec = self._candles[source], operand.spec
        before = value_at(candles, spec, operand.offset + 1) if self._crossing else None
        back = f" {operand.offset} back" if operand.offset else ""
        return Value(value_at(candles, spec, operand.offset), before, self._label(source, spec.label + back))

    @property
    def sources(self) -> str:
        """Everything that was read, for messages."""
        read = [described(source, candles) for source, candles in self._candles.items()]
        with_candles = {source.market for source in self._candles}
        return "; ".join(read + [market for market in self._markets_now if market not in with_candles])

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


def described(source: Source, candles: Candles) -> str:
    """What was read: market, timeframe, opening time of the newest candle, and gaps."""
    parts = [f"{source.market} {source.timeframe}"]
    if len(candles):
        parts.append(f"candle {to_datetime(int(candles.open_time[-1])):%Y-%m-%dT%H:%MZ}")
    if missing := len(candles.missing_open_times()):
        parts.append(f"{missing} {'bar' if missing == 1 else 'bars'} missing")
    return ", ".join(parts)
