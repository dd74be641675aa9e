"""Regimes: decided for every candle that both its indicators and its EMA channel have been calculated of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from missiondesk.market.regime import REGIMES, RegimeSettings, regimes
from missiondesk.refresh.continued import KEY
from missiondesk.refresh.settings import fingerprint
from missiondesk.refresh.steps import Step
from missiondesk.store.market.binary_copy import Column, Floats, Integers, Times, Words
from missiondesk.store.market.blocks import read_block
from missiondesk.store.market.series import NEVER, Series, StepState, read_states, save_states
from missiondesk.store.market.staging import Written, write_calculated
from models.market_tables import market_regime

_VALUES = "indicator JOIN ema_channel USING (series_id, open_time)"
_BOTH = {"adx": "adx_14", "in_channel_percent": "in_channel_percent"}


def calculate_regimes(
    connection: Connection, portion: Sequence[Series], rules: RegimeSettings
) -> dict[int, Written]:
    """Rows of `market_regime` for every candle with an ADX and a channel."""
    after, until = span(connection, portion, Step.MARKET_REGIME, fingerprint(rules))
    if not until:
        return {}
    block = read_block(connection, _VALUES, _BOTH, after, until, where="adx_14 IS NOT NULL")
    adx, inside = block.columns["adx"], block.columns["in_channel_percent"]
    rows: dict[str, Column] = {
        "series_id": Integers(block.series_ids),
        "open_time": Times(block.open_time),
        "regime": Words(regimes(adx, inside, rules), REGIMES),
        "adx": Floats(adx),
        "in_channel_percent": Floats(inside),
    }
    anew = [id for id, since in after.items() if since == NEVER]
    written = write_calculated(connection, market_regime, rows, KEY, anew)
    state = {"rules": fingerprint(rules)}
    save_states(connection, Step.MARKET_REGIME, {id: StepState(time, state) for id, time in until.items()})
    return written


def span(
    connection: Connection, portion: Sequence[Series], step: Step, rules: str
) -> tuple[dict[int, int], dict[int, int]]:
    """After which candle a deciding step goes on, and until which one the steps before it have come (ms).

    Only of the series for which that is later. What other rules decided is decided anew, from the beginning.
    """
    ids = [series.id for series in portion]
    own = read_states(connection, step, ids)
    before = [read_states(connection, each, ids) for each in _read_by(step)]
    after: dict[int, int] = {}
    until: dict[int, int] = {}
    for id in ids:
        mark = own[id].last_open_time if id in own and own[id].state["rules"] == rules else NEVER
        reached = _earliest(id, before)
        if reached > mark:
            after[id], until[id] = mark, reached
    return after, until


def _read_by(step: Step) -> tuple[Step, ...]:
    calculated = (Step.INDICATORS, Step.EMA_CHANNEL)
    return calculated if step is Step.MARKET_REGIME else (*calculated, Step.MARKET_REGIME)


def _earliest(id: int, states: Sequence[Mapping[int, StepState]]) -> int:
    return min(each[id].last_open_time if id in each else NEVER for each in states)
