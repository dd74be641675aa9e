"""Regimes: decided for every candle that both its indicators and its EMA channel have been calculated of."""

from __future__ import annotations

from typing import Final

import numpy as np
from sqlalchemy import Connection

from missiondesk.market.regime import REGIMES, RegimeSettings, regimes
from missiondesk.refresh.continued import CONTINUED, KEY
from missiondesk.refresh.settings import fingerprint
from missiondesk.refresh.steps import Step
from missiondesk.refresh.work import Work
from missiondesk.store.market.binary_copy import Column, Floats, Integers, Times, Words
from missiondesk.store.market.blocks import read_block
from missiondesk.store.market.progress import Pending, save_progress
from missiondesk.store.market.staging import Calculated, write_calculated
from models.market_tables import market_regime

_VALUES: Final = "indicator JOIN ema_channel USING (series_id, open_time)"
_BOTH: Final = {"adx": "adx_14", "in_channel_percent": "in_channel_percent"}


def regime_work(limits: RegimeSettings) -> Work:
    """Rows of `market_regime` for every candle with an ADX and a channel."""
    rules = fingerprint(limits)

    def calculate(connection: Connection, portion: Pending) -> Calculated:
        ids, after, until = portion.ids, portion.after, portion.until
        block = read_block(connection, _VALUES, _BOTH, ids, after, until, where="adx_14 IS NOT NULL")
        adx, inside = block.columns["adx"], block.columns["in_channel_percent"]
        rows: dict[str, Column] = {
            "series_id": Integers(block.series_ids),
            "open_time": Times(block.open_time),
            "regime": Words(regimes(adx, inside, limits), REGIMES),
            "adx": Floats(adx),
            "in_channel_percent": Floats(inside),
        }
        written = write_calculated(connection, market_regime, rows, KEY, portion.anew)
        save_progress(connection, Step.MARKET_REGIME, rules, portion, until, portion.numbers)
        return written

    return Work(rules, np.empty(0), CONTINUED, calculate)
