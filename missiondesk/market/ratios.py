"""Division that answers "undefined" instead of infinity."""

from __future__ import annotations

import numpy as np

from missiondesk.market.candles import FloatArray


def ratios(parts: FloatArray, wholes: FloatArray) -> FloatArray:
    """parts / wholes, NaN where the whole is not positive; all of one shape."""
    return np.divide(parts, wholes, out=np.full_like(wholes, np.nan), where=wholes > 0)
