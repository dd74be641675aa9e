"""The indicators that operands name, evaluated on closed candles; the names stand in `definitions`.

    rsi = indicator("rsi", {"length": 14})
    value_at(candles, rsi)            # at the newest candle
    value_at(candles, rsi, offset=3)  # three candles before it
    series(candles, rsi)              # at every candle, NaN where not yet reliable

**Warm-up.** A windowed value (SMA, Bollinger, …) is exact as soon as its window is full. A recursive one
(EMA, RSI, MACD, ADX, ATR, …) starts from a seed, the mean of its first inputs, and forgets it only gradually.
TA-Lib reports it from the first candle after its lookback; here it counts as reliable once as many candles
again have passed, at 2 · lookback + 1 candles: RSI(14) at 29, EMA(33) at 65, MACD(12,26,9) at 67, ADX(14) at
55. By then the seed weighs at most e⁻¹ with Wilder's smoothing and e⁻² with an EMA. Whoever chooses how many
candles to load takes `Indicator.wanted`: there it weighs less than e⁻¹⁹, and the value no longer depends on
where the candles begin.

Values are TA-Lib's (Wilder smoothing for RSI, ADX and ATR; an SMA as the seed of an EMA; population σ in
Bollinger bands) with one exception: an RSI of prices that never moved is undefined here, not 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import numpy as np

from missiondesk.market.candles import Candles, FloatArray
from missiondesk.market.definitions import Compute, definition, names
from models.errors import InputRefused, RetryLater, TooFewCandles

_SETTLING: Final = 20


class UndefinedIndicator(RetryLater):
    """There are enough candles, but the formula has no value for them (an RSI where no price moved)."""


@dataclass(frozen=True)
class Indicator:
    """An indicator with all its parameters, ready to be evaluated; made by `indicator`.

    label: for people, `RSI(14)`. needed: closed candles before a value is reliable. wanted: candles to load,
    so that a recursive value no longer depends on where they begin (never less than needed).
    """

    name: str
    parameters: tuple[tuple[str, float], ...]
    label: str
    needed: int
    wanted: int
    compute: Compute = field(repr=False, compare=False)


def indicator(name: str, parameters: Mapping[str, object] | None = None) -> Indicator:
    """The indicator an operand names; parameters left out take their defaults.

    Raises UnknownIndicator for the name, InputRefused for a parameter that it does not have or take.
    """
    given = parameters or {}
    defaults = definition(name).defaults
    for word in given:
        if word not in defaults:
            takes = ", ".join(defaults) or "none"
            raise InputRefused(f"{name} has no parameter {word!r}; it takes: {takes}")
    chosen = ((word, _number(name, word, given.get(word, usual), usual)) for word, usual in defaults.items())
    return _build(name, tuple(chosen))


def indicator_names() -> list[str]:
    """Every name an operand may use: our own, then TA-Lib's, each alphabetically."""
    return names()


def default_parameters(name: str) -> dict[str, float]:
    """The parameters an indicator takes, with their defaults. Raises UnknownIndicator."""
    return dict(definition(name).defaults)


def series(candles: Candles, spec: Indicator) -> FloatArray:
    """The value at every candle, shape (n,), NaN where not reliable yet or undefined."""
    values = np.full(len(candles), np.nan)
    if len(candles) >= spec.needed:
        values[spec.needed - 1 :] = spec.compute(candles)[spec.needed - 1 :]
        values[~np.isfinite(values)] = np.nan
    return values


def value_at(candles: Candles, spec: Indicator, offset: int = 0) -> float:
    """The value `offset` candles before the newest of `candles`, all of which have to be closed.

    Raises TooFewCandles, UndefinedIndicator, and InputRefused for a negative offset.
    """
    if offset < 0:
        raise InputRefused(f"{spec.label}: expected an offset of 0 or more candles back, got {offset}")
    needed = spec.needed + offset
    if len(candles) < needed:
        back = f" {offset} candles back" if offset else ""
        raise TooFewCandles(
            f"{spec.label}{back} needs {needed} closed {candles.described}, got {len(candles)}"
        )
    value = float(series(candles, spec)[-1 - offset])
    if not np.isfinite(value):
        raise UndefinedIndicator(f"{spec.label} has no value over these {len(candles)} {candles.described}")
    return value


def _number(name: str, word: str, value: object, usual: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int if isinstance(usual, int) else int | float):
        kind = "a whole number" if isinstance(usual, int) else "a number"
        raise InputRefused(f"{name}.{word}: expected {kind}, got {value!r}")
    return value if isinstance(usual, int) else float(value)


@lru_cache(maxsize=1024)
def _build(name: str, parameters: tuple[tuple[str, float], ...]) -> Indicator:
    found = definition(name)
    values = ",".join(f"{value:g}" for _, value in parameters)
    label = f"{found.title}({values})" if parameters else found.title
    try:
        bound = found.bind(dict(parameters))
    except InputRefused as error:
        raise InputRefused(f"{name}.{error}") from None
    needed, wanted = bound.lookback + 1, bound.lookback + 1
    if bound.recursive:
        needed, wanted = 2 * bound.lookback + 1, _SETTLING * bound.lookback + 1
    return Indicator(name, parameters, label, needed, wanted, bound.compute)
