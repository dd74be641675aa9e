"""Cached answers end with the candle they are of, whatever day a venue's weeks open."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from tasks.attempt import _cache_key

THURSDAY = datetime(2026, 11, 26, tzinfo=UTC)


def key_at(now: datetime) -> str:
    task = SimpleNamespace(template="rsi_below", params={"timeframe": "1w"})
    arguments: dict[str, Any] = {
        "mission_task": task,
        "context": SimpleNamespace(exchange="kraken", now=now),
    }
    return _cache_key(None, arguments)  # type: ignore[arg-type]


def test_a_week_that_closes_on_thursday_is_asked_for_anew() -> None:
    assert key_at(THURSDAY - timedelta(minutes=1)) != key_at(THURSDAY)
    assert key_at(THURSDAY) == key_at(THURSDAY + timedelta(hours=1))
