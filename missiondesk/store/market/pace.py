"""When the next request to an exchange may be sent, agreed on by all processes through one row."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Engine

from missiondesk.store.market.staging import execute


def take_turn(engine: Engine, exchange: str, interval: timedelta) -> float:
    """Reserve the next turn; seconds to wait until it comes. Turns are `interval` apart."""
    with engine.connect() as connection:
        waiting = execute(
            connection,
            "INSERT INTO request_pace AS pace (exchange, next_at)"
            " VALUES (:exchange, clock_timestamp() + :interval)"
            " ON CONFLICT (exchange) DO UPDATE"
            " SET next_at = greatest(pace.next_at, clock_timestamp()) + :interval"
            " RETURNING extract(epoch FROM next_at - :interval - clock_timestamp())::float8",
            exchange=exchange,
            interval=interval,
        ).scalar_one()
    return max(0.0, float(waiting))
