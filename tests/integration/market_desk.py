"""The desk of the tests' own process, on a sandbox exchange and a Prefect server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine

from flows.desk import desk_of_this_process


@contextmanager
def market_desk(
    database_url: str, exchange_url: str, home: Path, symbols: Iterable[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Engine]:
    """Its engine, while flows that are called here use it."""
    settings = {
        "MISSIONDESK_HOME": str(home),
        "MISSIONDESK_DATABASE_URL": database_url,
        "MISSIONDESK_EXCHANGE": "sandbox",
        "MISSIONDESK_EXCHANGE_URL": exchange_url,
        "MISSIONDESK_SYMBOLS": ",".join(symbols),
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    desk_of_this_process.cache_clear()
    engine = desk_of_this_process().engine
    try:
        yield engine
    finally:
        engine.dispose()
        desk_of_this_process.cache_clear()
