"""Stored trading signals: ended when a later one differs, or when nobody refreshes their series any more."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from sqlalchemy import Connection

from missiondesk.store.market.staging import execute

SIGNAL_KEY: Final = ("series_id", "open_time", "strategy")


def close_signals(connection: Connection, ends: Mapping[int, tuple[int, float]]) -> dict[int, int]:
    """Close the active signals of each series that are older than its end: (open time in ms, close there).

    Returns how many these were, by series.

    The profit or loss is `market.signals.pnl_percent` of each one's own entry.
    """
    if not ends:
        return {}
    closed = execute(
        connection,
        "WITH closed AS (UPDATE trading_signal SET status = 'closed', exit_open_time = given.at,"
        " exit_price = given.price,"
        " pnl_percent = CASE action WHEN 'buy' THEN (given.price - entry) * 100 / entry"
        "  WHEN 'sell' THEN -((given.price - entry) * 100 / entry) END"
        " FROM (SELECT id AS series_id, to_timestamp(at / 1000.0) AS at, price"
        "  FROM unnest(CAST(:ids AS int[]), CAST(:times AS bigint[]), CAST(:prices AS float8[]))"
        "  AS ends (id, at, price)) AS given"
        " WHERE trading_signal.series_id = given.series_id AND status = 'active' AND open_time < given.at"
        " RETURNING trading_signal.series_id) SELECT series_id, count(*) FROM closed GROUP BY series_id",
        ids=list(ends),
        times=[time for time, _ in ends.values()],
        prices=[price for _, price in ends.values()],
    )
    return {row[0]: row[1] for row in closed}


def expire_signals(connection: Connection, refreshed: Collection[int]) -> int:
    """Expire the active signals of all other series: no later candle will end them. How many these were."""
    expired = execute(
        connection,
        "UPDATE trading_signal SET status = 'expired'"
        " WHERE status = 'active' AND series_id <> ALL (CAST(:ids AS int[]))",
        ids=list(refreshed),
    )
    return int(expired.rowcount)
