"""Division that answers "undefined" instead of infinity."""

from __future__ import annotations

import numpy as np

from missiondesk.market.candles import FloatArray


def ratios(parts: FloatArray, wholes: FloatArray) -> FloatArray:
    """parts / wholes, NaN where the whole is not positive; all of one shape."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found: FloatArray = parts / wholes
    undefined = wholes <= 0
    if undefined.any():
        found[undefined] = np.nan
    return found
