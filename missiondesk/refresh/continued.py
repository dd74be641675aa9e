"""Indicators and the EMA channel: values that go on from the state after the candle before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
from sqlalchemy import Connection, Table

from missiondesk.market.candles import Candles, FloatArray
from missiondesk.market.ema_channel import Direction, continue_channel
from missiondesk.market.panel import Continuation, SeriesState
from missiondesk.market.situation_series import Places
from missiondesk.market.stored_indicators import STORED, continue_indicators
from missiondesk.refresh.steps import Step
from missiondesk.store.market.binary_copy import Column, Floats, Integers, Times, Words
from missiondesk.store.market.candles import read_candles
from missiondesk.store.market.series import Series, StepState, read_states, save_states
from missiondesk.store.market.staging import Written, write_calculated
from models.market_tables import ema_channel, indicator

Continue = Callable[[Sequence[SeriesState], Sequence[Candles]], list[Continuation]]
Values = Mapping[str, FloatArray]

KEY: Final = ("series_id", "open_time")
DIRECTIONS: Final = tuple(Direction)


def calculate_indicators(connection: Connection, portion: Sequence[Series]) -> dict[int, Written]:
    """Rows of `indicator` for every candle at which one of its values is reliable."""
    return _go_on(connection, portion, Step.INDICATORS, continue_indicators, indicator, _indicator_columns)


def calculate_channel(connection: Connection, portion: Sequence[Series]) -> dict[int, Written]:
    """Rows of `ema_channel` for every candle at which the channel is reliable."""
    return _go_on(connection, portion, Step.EMA_CHANNEL, continue_channel, ema_channel, _channel_columns)


def _go_on(
    connection: Connection,
    portion: Sequence[Series],
    step: Step,
    continue_from: Continue,
    table: Table,
    columns_of: Callable[[Values, FloatArray], tuple[Places, dict[str, Column]]],
) -> dict[int, Written]:
    stored = read_states(connection, step, [series.id for series in portion])
    states = [
        SeriesState.from_json(stored[each.id].state) if each.id in stored else SeriesState()
        for each in portion
    ]
    new = read_candles(connection, portion, {id: state.last_open_time for id, state in stored.items()})
    continuations = continue_from(states, new)
    names = list(continuations[0].values)
    values = {
        name: np.concatenate([continuation.values[name] for continuation in continuations]) for name in names
    }
    ids = np.repeat(np.array([each.id for each in portion], dtype=np.int32), [len(each) for each in new])
    kept, columns = columns_of(values, np.concatenate([candles.close for candles in new]))
    rows: dict[str, Column] = {
        "series_id": Integers(ids[kept]),
        "open_time": Times(np.concatenate([candles.open_time for candles in new])[kept]),
        **columns,
    }
    anew = [each.id for each in portion if each.id not in stored]
    written = write_calculated(connection, table, rows, KEY, anew)
    advanced = {
        each.id: StepState(int(candles.open_time[-1]), continuation.state.to_json())
        for each, candles, continuation in zip(portion, new, continuations, strict=True)
        if len(candles)
    }
    save_states(connection, step, advanced)
    return written


def _indicator_columns(values: Values, closes: FloatArray) -> tuple[Places, dict[str, Column]]:
    kept = np.flatnonzero(~np.all([np.isnan(values[name]) for name in STORED], axis=0))
    return kept, {name: Floats(values[name][kept]) for name in STORED}


def _channel_columns(values: Values, closes: FloatArray) -> tuple[Places, dict[str, Column]]:
    upper, lower = values["upper"], values["lower"]
    kept = np.flatnonzero(~np.isnan(values["width_percent"]))
    directions = np.select(
        [closes > upper, closes < lower],
        [DIRECTIONS.index(Direction.UP), DIRECTIONS.index(Direction.DOWN)],
        DIRECTIONS.index(Direction.NEUTRAL),
    )
    columns: dict[str, Column] = {name: Floats(found[kept]) for name, found in values.items()}
    return kept, {**columns, "direction": Words(directions[kept], DIRECTIONS)}
