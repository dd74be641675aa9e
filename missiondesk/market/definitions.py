"""The table of indicators: name → title, parameters with defaults, and how each is computed.

| name | parameters | what |
|---|---|---|
| open high low close volume | – | the candle's own columns |
| price | – | the close: the price of a closed candle |
| sma | length=20 | mean of the closes |
| ema | length=12 | EMA of the closes, seeded by an SMA |
| rsi | length=14 | relative strength, Wilder smoothing, 0–100 |
| macd | fast=12, slow=26, signal=9 | EMA(fast) − EMA(slow) |
| macd_signal, macd_hist | the same | EMA(signal) of the MACD, and the MACD minus it |
| adx | length=14 | average directional index, Wilder smoothing, 0–100 |
| atr | length=14 | average true range, Wilder smoothing, in quote units |
| bollinger_upper, bollinger_lower | length=20, deviations=2.0 | mean ± deviations · population σ |
| bollinger_middle | the same | mean of the closes |
| ema_channel_upper, ema_channel_lower | length=33 | EMA of the highs, EMA of the lows |
| volume_mean | length=20 | mean of the volumes, in base units |

Beyond these, every TA-Lib function that candles can feed: `cci`, `willr`, `stoch_slowk`, … with TA-Lib's own
parameters and defaults, `timeperiod` being called `length`. Those that add up from the first candle (`obv`,
`ad`, `sar`, `vwap`, …) have no level of their own: their value counts from the oldest candle given.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

import numpy as np

from missiondesk.market.candles import Candles, FloatArray
from missiondesk.market.talib_functions import TalibFunction, talib_functions, talib_outputs
from missiondesk.market.windows import window_deviations, window_means
from models.errors import InputRefused

Parameters = Mapping[str, float]
Compute = Callable[[Candles], FloatArray]

_LONGEST: Final = 100_000


class UnknownIndicator(InputRefused):
    """No operand and no TA-Lib function has this name; the text names the nearest ones."""


@dataclass(frozen=True)
class Bound:
    """A computation with its parameters filled in.

    lookback: candles before TA-Lib's first value.
    recursive: whether a value depends on candles older than that.
    """

    compute: Compute
    lookback: int
    recursive: bool


@dataclass(frozen=True)
class Definition:
    """title: for labels; defaults: every parameter, whole numbers as int; bind: parameters → computation.

    `bind` raises InputRefused for the parameter that is not taken: "length: expected …, got …".
    """

    title: str
    defaults: Parameters
    bind: Callable[[Parameters], Bound]


def definition(name: str) -> Definition:
    """The definition of an indicator. Raises UnknownIndicator, naming the nearest ones."""
    if name in _NAMED:
        return _NAMED[name]
    if name in talib_outputs():
        function, output = talib_outputs()[name]
        words = {"length" if word == "timeperiod" else word: word for word in function.defaults}
        several = len(function.outputs) > 1
        title = f"{function.name} {function.outputs[output]}" if several else function.name
        return _talib(title, function, output, words)
    if name.lower() in names():
        raise UnknownIndicator(f"unknown indicator {name!r}; expected it in lower case: {name.lower()}")
    if name.upper() in talib_functions():
        choices = ", ".join(f"{name}_{output}".lower() for output in talib_functions()[name.upper()].outputs)
        raise UnknownIndicator(f"{name} has several outputs; expected one of {choices}")
    near = get_close_matches(name.lower(), names(), n=5) or sorted(_NAMED)
    raise UnknownIndicator(
        f"unknown indicator {name!r}; expected one like {', '.join(near)}, or a TA-Lib function in lower case"
    )


def names() -> list[str]:
    """Every name: those of the table, then TA-Lib's, each alphabetically."""
    return sorted(_NAMED) + sorted(set(talib_outputs()) - set(_NAMED))


def _column(title: str) -> Definition:
    column = "close" if title == "price" else title

    def values(candles: Candles) -> FloatArray:
        found: FloatArray = getattr(candles, column)
        return found

    return Definition(title, {}, lambda _: Bound(values, 0, recursive=False))


def _windowed(
    title: str, defaults: Parameters, of_windows: Callable[[Candles, int, Parameters], FloatArray]
) -> Definition:
    """of_windows: (candles, length, parameters) → one value per full window."""

    def bind(parameters: Parameters) -> Bound:
        length = int(parameters["length"])
        if not 1 <= length <= _LONGEST:
            raise InputRefused(f"length: expected a whole number from 1 to {_LONGEST}, got {length}")
        before = np.full(length - 1, np.nan)

        def compute(candles: Candles) -> FloatArray:
            return np.concatenate([before, of_windows(candles, length, parameters)])

        return Bound(compute, length - 1, recursive=False)

    return Definition(title, defaults, bind)


def _band(title: str, side: int) -> Definition:
    def of_windows(candles: Candles, length: int, parameters: Parameters) -> FloatArray:
        middle, deviation = window_deviations(candles.close, length)
        return middle + side * parameters["deviations"] * deviation

    return _windowed(title, {"length": 20, "deviations": 2.0}, of_windows)


def _talib(
    title: str,
    function: TalibFunction,
    output: int,
    words: Mapping[str, str],
    defaults: Parameters | None = None,
    correct: Callable[[Candles, FloatArray], FloatArray] | None = None,
) -> Definition:
    """words: our parameter name → TA-Lib's; defaults: where they differ from TA-Lib's."""

    def bind(parameters: Parameters) -> Bound:
        own = {words[word]: value for word, value in parameters.items()}
        lookback = function.lookback(own)
        if lookback < 0:
            raise InputRefused(_outside(function, words, parameters))

        def compute(candles: Candles) -> FloatArray:
            values = function.compute(candles, own, output)
            return values if correct is None else correct(candles, values)

        return Bound(compute, lookback, _remembers(compute, lookback))

    usual = {word: function.defaults[own] for word, own in words.items()}
    return Definition(title, {**usual, **(defaults or {})}, bind)


def _outside(function: TalibFunction, words: Mapping[str, str], parameters: Parameters) -> str:
    """Which parameter TA-Lib does not take, and what it takes instead."""
    for word, value in parameters.items():
        if not function.takes(words[word], value):
            return f"{word}: expected {_range(function, words[word])}, got {value}"
    together = ", ".join(parameters)
    return f"{together}: expected numbers that TA-Lib's {function.name} takes together"


def _range(function: TalibFunction, parameter: str) -> str:
    """Found by trying, for TA-Lib does not tell."""
    usual = function.defaults[parameter]
    if not isinstance(usual, int):
        return f"a number within the range of TA-Lib's {function.name}"
    least = next(number for number in range(usual + 1) if function.takes(parameter, number))
    above = range(usual, _LONGEST + 1)
    most = usual - 1 + bisect(above, False, key=lambda number: not function.takes(parameter, number))
    return f"a whole number from {least} to {most}"


def _remembers(compute: Compute, lookback: int) -> bool:
    """Whether a value depends on candles older than the lookback, as seen on a random walk.

    TA-Lib's flags name only some of those functions, and a parameter like `matype` decides it for others.
    """
    count = 2 * lookback + 100
    random = np.random.default_rng(0)
    closes = 100 * np.exp(random.normal(0, 0.01, count).cumsum())
    opens = closes * np.exp(random.normal(0, 0.005, count))
    reach = np.exp(np.abs(random.normal(0, 0.005, (2, count))))
    walk = Candles(
        open_time=60_000 * np.arange(count),
        open=opens,
        high=np.maximum(opens, closes) * reach[0],
        low=np.minimum(opens, closes) / reach[1],
        close=closes,
        volume=random.uniform(1, 100, count),
        timeframe="1m",
    )
    whole = compute(walk)
    ends = range(count - 20, count)
    alone = [compute(walk[end - lookback : end + 1])[-1] for end in ends]
    return not np.allclose(whole[ends.start :], alone, rtol=1e-6, atol=0, equal_nan=True)


def _rsi_defined(candles: Candles, values: FloatArray) -> FloatArray:
    """TA-Lib answers 0 both after nothing but losses and after no movement at all; the latter is no value."""
    still = np.maximum.accumulate(candles.close) == np.minimum.accumulate(candles.close)
    return np.where(still, np.nan, values)


def _smoothed(title: str, name: str, length: int, column: str | None = None) -> Definition:
    function = talib_functions()[name]
    if column is not None:
        function = TalibFunction(function.name, (column,), function.outputs, function.defaults)
    correct = _rsi_defined if name == "RSI" else None
    return _talib(title, function, 0, {"length": "timeperiod"}, {"length": length}, correct)


def _macd(title: str, output: int) -> Definition:
    words = {"fast": "fastperiod", "slow": "slowperiod", "signal": "signalperiod"}
    macd = _talib(title, talib_functions()["MACD"], output, words)

    def bind(parameters: Parameters) -> Bound:
        bound = macd.bind(parameters)
        # TA-Lib silently swaps the two; the label would then tell another MACD than is computed.
        if parameters["fast"] >= parameters["slow"]:
            raise InputRefused(
                f"fast: expected less than slow, which is {parameters['slow']}, got {parameters['fast']}"
            )
        return bound

    return Definition(title, macd.defaults, bind)


_NAMED: Final[dict[str, Definition]] = {
    **{name: _column(name) for name in ("open", "high", "low", "close", "volume", "price")},
    "sma": _windowed("SMA", {"length": 20}, lambda candles, length, _: window_means(candles.close, length)),
    "volume_mean": _windowed(
        "volume mean", {"length": 20}, lambda candles, length, _: window_means(candles.volume, length)
    ),
    "bollinger_upper": _band("Bollinger upper", +1),
    "bollinger_middle": _band("Bollinger middle", 0),
    "bollinger_lower": _band("Bollinger lower", -1),
    "ema": _smoothed("EMA", "EMA", 12),
    "rsi": _smoothed("RSI", "RSI", 14),
    "adx": _smoothed("ADX", "ADX", 14),
    "atr": _smoothed("ATR", "ATR", 14),
    "ema_channel_upper": _smoothed("EMA channel upper", "EMA", 33, "high"),
    "ema_channel_lower": _smoothed("EMA channel lower", "EMA", 33, "low"),
    "macd": _macd("MACD", 0),
    "macd_signal": _macd("MACD signal", 1),
    "macd_hist": _macd("MACD histogram", 2),
}
