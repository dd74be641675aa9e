"""From names to what the sandbox lists under them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from missiondesk.exchanges.open import open_exchange
from missiondesk.exchanges.port import MarketData
from missiondesk.exchanges.sandbox.server import SandboxServer
from missiondesk.markets.listed import listed_markets
from missiondesk.settings import Settings
from models.errors import InputRefused, UnknownName, VenueClosed


@pytest.fixture(scope="module")
def settings() -> Iterator[Settings]:
    with SandboxServer() as server:
        yield Settings.load({"MISSIONDESK_EXCHANGE_URL": server.url})


def test_each_exchange_is_opened_once(settings: Settings) -> None:
    opened: list[str] = []

    def open_market(exchange: str) -> MarketData:
        opened.append(exchange)
        return open_exchange(exchange, settings)

    names = ["sandbox:BTC/USD", "sandbox:ETH/USD", "sandbox:BTC/USD"]
    markets = listed_markets(names, open_market, datetime.now(UTC))
    assert list(markets) == names[:2]
    assert opened == ["sandbox"]
    assert markets["sandbox:ETH/USD"].instrument.base == "ETH"


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("sandbox:BTC/XYZ", UnknownName, "unknown market of sandbox"),
        ("okex_future_btcusd_month", InputRefused, "expected a market in one of the forms"),
        ("krakn:BTC/USD", UnknownName, "existing: kraken"),
        ("bitmex_future_btcusd", VenueClosed, "BitMEX closed on 2026-09-23"),
    ],
)
def test_what_is_not_there_is_said(settings: Settings, name: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        listed_markets([name], lambda exchange: open_exchange(exchange, settings), datetime.now(UTC))
