"""The four calculating steps: from the candles that a step has not seen to rows, and the state to go on from.

A step takes its series in portions, each in one transaction that holds the series' locks: rows and state are
written together or not at all, and two runs at once do the work once. How many statements a portion takes
does not depend on how many series it has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, assert_never

from sqlalchemy import Engine

from missiondesk.refresh.continued import channel_work, indicator_work
from missiondesk.refresh.decided import regime_work
from missiondesk.refresh.settings import RefreshSettings
from missiondesk.refresh.signals import signal_work
from missiondesk.refresh.steps import Step
from missiondesk.refresh.work import Work
from missiondesk.store.database import transaction
from missiondesk.store.market.progress import pending
from missiondesk.store.market.series import Series, lock
from missiondesk.store.market.staging import Calculated

CANDLES_AT_ONCE: Final = 400_000
"""New candles in one portion: bounds what is in memory."""

__all__ = ["CANDLES_AT_ONCE", "Calculated", "calculate"]


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
    work = _work(step, settings)
    total = Calculated()
    left = sorted(each.id for each in series)
    while left:
        with transaction(engine) as connection:
            lock(connection, left)
            found = pending(connection, step, work.rules, work.beginning, left, work.predecessors)
            portion = found.first(CANDLES_AT_ONCE)
            if len(portion):
                total = total.and_also(work.calculate(connection, portion))
        left = found.ids[len(portion) :].tolist()
        told(total)
    return total


def _work(step: Step, settings: RefreshSettings) -> Work:
    match step:
        case Step.INDICATORS:
            return indicator_work()
        case Step.EMA_CHANNEL:
            return channel_work()
        case Step.MARKET_REGIME:
            return regime_work(settings.regime)
        case Step.SIGNALS:
            return signal_work(settings.regime, settings.signals)
        case Step.OHLC:
            raise ValueError("candles are fetched, not calculated")
        case _:
            assert_never(step)
