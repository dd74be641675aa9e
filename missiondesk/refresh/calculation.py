"""The four calculating steps: from the candles that a step has not seen to rows, and the state to go on from.

A step takes its series in portions, each in one transaction that holds the series' locks: rows and state are
written together or not at all, and two runs at once do the work once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, assert_never

from sqlalchemy import Connection, Engine

from missiondesk.market.candles import timeframe_milliseconds
from missiondesk.refresh.continued import calculate_channel, calculate_indicators
from missiondesk.refresh.decided import calculate_regimes
from missiondesk.refresh.settings import RefreshSettings
from missiondesk.refresh.signals import calculate_signals
from missiondesk.refresh.steps import Step
from missiondesk.store.database import transaction
from missiondesk.store.market.candles import extents
from missiondesk.store.market.series import Series, lock, read_states
from missiondesk.store.market.staging import Written

CANDLES_AT_ONCE: Final = 100_000
"""New candles in one portion: bounds what is in memory."""


@dataclass(frozen=True)
class Calculated:
    """What a step did: series with new rows, rows that are new, rows that differed before."""

    series: int = 0
    inserted: int = 0
    updated: int = 0

    def and_also(self, written: Mapping[int, Written]) -> Calculated:
        return Calculated(
            self.series + len(written),
            self.inserted + sum(each.inserted for each in written.values()),
            self.updated + sum(each.updated for each in written.values()),
        )


def calculate(
    engine: Engine,
    step: Step,
    series: Sequence[Series],
    settings: RefreshSettings,
    told: Callable[[Calculated], None] = lambda calculated: None,
) -> Calculated:
    """Bring one step's rows up to the newest candles. Calling it again changes nothing.

    `told` hears of the sum after each portion. Raises ValueError for the step that fetches.
    """
    total = Calculated()
    for portion in _portions(engine, step, series):
        with transaction(engine) as connection:
            lock(connection, [each.id for each in portion])
            total = total.and_also(_calculate(connection, step, portion, settings))
        told(total)
    return total


def _calculate(
    connection: Connection, step: Step, portion: Sequence[Series], settings: RefreshSettings
) -> dict[int, Written]:
    match step:
        case Step.INDICATORS:
            return calculate_indicators(connection, portion)
        case Step.EMA_CHANNEL:
            return calculate_channel(connection, portion)
        case Step.MARKET_REGIME:
            return calculate_regimes(connection, portion, settings.regime)
        case Step.SIGNALS:
            return calculate_signals(connection, portion, settings.regime, settings.signals)
        case Step.OHLC:
            raise ValueError("candles are fetched, not calculated")
        case _:
            assert_never(step)


def _portions(engine: Engine, step: Step, series: Sequence[Series]) -> Iterator[list[Series]]:
    """The series that have candles, with no more new ones together than fit; one series at least."""
    pending = _pending(engine, step, series)
    portion: list[Series] = []
    size = 0
    for each in series:
        if not pending.get(each.id):
            continue
        if portion and size + pending[each.id] > CANDLES_AT_ONCE:
            yield portion
            portion, size = [], 0
        portion.append(each)
        size += pending[each.id]
    if portion:
        yield portion


def _pending(engine: Engine, step: Step, series: Collection[Series]) -> dict[int, int]:
    """How many candles a step has not seen at most, for every series that has candles.

    What was decided by other thresholds is found with the next candle: the steps look for that themselves.
    """
    ids = [each.id for each in series]
    with transaction(engine) as connection:
        found = extents(connection, ids)
        states = read_states(connection, step, ids)
    lengths = {each.id: timeframe_milliseconds(each.interval) for each in series}
    seen = {
        id: states[id].last_open_time if id in states else extent.first - lengths[id]
        for id, extent in found.items()
    }
    return {id: (extent.newest - seen[id]) // lengths[id] for id, extent in found.items()}
