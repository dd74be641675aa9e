"""Indicators and the EMA channel: values that go on from the state after the candle before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from sqlalchemy import Connection, Table

from missiondesk.market.candles import FloatArray, TimeArray
from missiondesk.market.ema_channel import CHANNEL, Direction
from missiondesk.market.panel import Calculation, NewCandles
from missiondesk.market.situation_series import Places
from missiondesk.market.stored_indicators import INDICATORS, STORED
from missiondesk.refresh.steps import Step
from missiondesk.refresh.work import Work
from missiondesk.store.market.binary_copy import Column, Floats, Integers, Times, Words
from missiondesk.store.market.blocks import Block, read_block
from missiondesk.store.market.progress import Pending, save_progress
from missiondesk.store.market.staging import Calculated, write_calculated
from models.market_tables import ema_channel, indicator

Values = Mapping[str, FloatArray]

KEY: Final = ("series_id", "open_time")
DIRECTIONS: Final = tuple(Direction)
CONTINUED: Final[Mapping[str, str]] = {Step.INDICATORS: INDICATORS.layout, Step.EMA_CHANNEL: CHANNEL.layout}
"""Both steps, and the rules of their rows."""


def indicator_work() -> Work:
    """Rows of `indicator` for every candle at which one of its values is reliable."""
    return _work(Step.INDICATORS, INDICATORS, indicator, _indicator_columns)


def channel_work() -> Work:
    """Rows of `ema_channel` for every candle at which the channel is reliable."""
    return _work(Step.EMA_CHANNEL, CHANNEL, ema_channel, _channel_columns)


def _work(
    step: Step,
    calculation: Calculation,
    table: Table,
    columns_of: Callable[[Values, FloatArray], tuple[Places, dict[str, Column]]],
) -> Work:
    def calculate(connection: Connection, portion: Pending) -> Calculated:
        ids, after, until = portion.ids, portion.after, portion.until
        new = read_block(connection, "candle", tuple(calculation.reach), ids, after, until)
        values, states = calculation.continued(portion.numbers, NewCandles(new.columns, new.lengths(ids)))
        kept, columns = columns_of(values, new.columns["close"])
        rows: dict[str, Column] = {
            "series_id": Integers(new.series_ids[kept]),
            "open_time": Times(new.open_time[kept]),
            **columns,
        }
        written = write_calculated(connection, table, rows, KEY, portion.anew)
        save_progress(connection, step, calculation.layout, portion, _newest(new), states)
        return written

    return Work(calculation.layout, calculation.beginning, {}, calculate)


def _newest(new: Block) -> TimeArray:
    return new.open_time[np.flatnonzero(np.diff(new.series_ids, append=-1))]


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
