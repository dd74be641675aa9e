"""Stored trading signals: ended when a later one differs, or when nobody refreshes their series any more."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from missiondesk.market.candles import FloatArray, TimeArray
from missiondesk.store.market.staging import execute, listed

SIGNAL_KEY: Final = ("series_id", "open_time", "strategy")


CANCELLED_STAYS: Final = "stored.status = 'cancelled'"
"""What people have cancelled is theirs: no calculation changes it."""


def close_signals(
    connection: Connection, ids: NDArray[np.int32], times: TimeArray, prices: FloatArray
) -> int:
    """Close the active signals of these series that are older than these opening times (ms), at the prices.

    The profit or loss is `market.signals.pnl_percent` of each one's own entry. Returns how many these were.
    """
    if not len(ids):
        return 0
    closed = execute(
        connection,
        "UPDATE trading_signal SET status = 'closed', exit_open_time = given.at, exit_price = given.price,"
        " pnl_percent = CASE action WHEN 'buy' THEN (given.price - entry) * 100 / entry"
        "  WHEN 'sell' THEN -((given.price - entry) * 100 / entry) END"
        " FROM (SELECT id AS series_id, to_timestamp(at / 1000) AS at, price"
        "  FROM unnest(CAST(:ids AS int[]), CAST(:times AS float8[]), CAST(:prices AS float8[]))"
        "  AS ends (id, at, price)) AS given"
        " WHERE trading_signal.series_id = given.series_id AND status = 'active' AND open_time < given.at",
        ids=listed(ids),
        times=listed(times),
        prices=listed(map(repr, prices.tolist())),
    )
    return int(closed.rowcount)


def expire_signals(connection: Connection, refreshed: Collection[int]) -> int:
    """Expire the active signals of all other series: no later candle will end them. How many these were."""
    expired = execute(
        connection,
        "UPDATE trading_signal SET status = 'expired'"
        " WHERE status = 'active' AND series_id <> ALL (CAST(:ids AS int[]))",
        ids=list(refreshed),
    )
    return int(expired.rowcount)
