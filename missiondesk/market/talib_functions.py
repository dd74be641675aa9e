"""TA-Lib's functions by their usual names: which candle columns, parameters and outputs each has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import talib
from talib import abstract as talib_abstract

from missiondesk.market.candles import Candles, FloatArray

# TA-Lib's stubs do not declare its introspection.
_LIBRARY: Final[Any] = talib
_ABSTRACT: Final[Any] = talib_abstract
_COLUMNS: Final = frozenset({"open", "high", "low", "close", "volume"})


@dataclass(frozen=True)
class TalibFunction:
    """One TA-Lib function. inputs: candle columns in call order; defaults: TA-Lib's own parameters."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    defaults: Mapping[str, float]

    def lookback(self, parameters: Mapping[str, float]) -> int:
        """Candles before the first value; −1 when TA-Lib does not accept the parameters."""
        return int(_ABSTRACT.Function(self.name, **parameters).lookback)

    def takes(self, parameter: str, value: float) -> bool:
        """Whether TA-Lib accepts it, beside its own defaults of the others."""
        return self.lookback({parameter: value}) >= 0

    def compute(self, candles: Candles, parameters: Mapping[str, float], output: int) -> FloatArray:
        """One output over all candles, float64; what stands before the lookback is not a value."""
        columns = (getattr(candles, column) for column in self.inputs)
        results = getattr(_LIBRARY, self.name)(*columns, **parameters)
        chosen = results[output] if len(self.outputs) > 1 else results
        return np.asarray(chosen, dtype=np.float64)


@cache
def talib_functions() -> Mapping[str, TalibFunction]:
    """Every function that candles can feed, by its name in capitals."""
    functions = {}
    for name in _LIBRARY.get_functions():
        info = _ABSTRACT.Function(name).info
        inputs = tuple(_flat(info["input_names"].values()))
        if _COLUMNS.issuperset(inputs):
            functions[name] = TalibFunction(
                name, inputs, tuple(info["output_names"]), dict(info["parameters"])
            )
    return functions


@cache
def talib_outputs() -> Mapping[str, tuple[TalibFunction, int]]:
    """Names in lower case → function and output: `cci`, and `stoch_slowk` where there are several outputs."""
    outputs = {}
    for name, function in talib_functions().items():
        for place, output in enumerate(function.outputs):
            word = name if len(function.outputs) == 1 else f"{name}_{output}"
            outputs[word.lower()] = (function, place)
    return outputs


def _flat(names: Any) -> list[str]:
    return [name for item in names for name in ([item] if isinstance(item, str) else item)]
