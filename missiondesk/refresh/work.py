"""What one calculating step does with the candles that it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from missiondesk.market.candles import FloatArray
from missiondesk.store.market.progress import Pending
from missiondesk.store.market.staging import Calculated


@dataclass(frozen=True, eq=False)
class Work:
    """rules: a word for what decides the rows; other rules calculate every series anew.

    beginning: the numbers to remember before the first candle. predecessors: steps whose rows are read, and
    by which rules these must be.
    calculate: write the rows of this portion and its progress; the caller has locked its series.
    """

    rules: str
    beginning: FloatArray
    predecessors: Mapping[str, str]
    calculate: Callable[[Connection, Pending], Calculated]
