"""The exchange contract over ccxt speaking to the sandbox, as it would to the real venue."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import httpx
import pytest
from pydantic import SecretStr

from missiondesk.exchanges.ccxt_exchange import CcxtExchange
from missiondesk.exchanges.credentials import Credentials
from missiondesk.exchanges.sandbox.address import SANDBOX_KEY, SANDBOX_SECRET, ccxt_urls
from missiondesk.exchanges.sandbox.server import SandboxServer
from tests.contract.exchange_contract import (
    PRICE,
    SYMBOL,
    Bench,
    ManualClock,
    MarketDataContract,
    TradingContract,
)


@pytest.fixture
def bench() -> Iterator[Bench]:
    clock = ManualClock()
    with SandboxServer(clock=clock) as server:
        exchange = CcxtExchange(
            "sandbox",
            "kraken",
            credentials=Credentials(key=SecretStr(SANDBOX_KEY), secret=SecretStr(SANDBOX_SECRET)),
            url_overrides=ccxt_urls(server.url)["urls"]["api"],
            limit_rate=False,
            clock=clock,
        )

        def set_price(price: Decimal) -> None:
            change = {"pair": SYMBOL, "price": str(price)}
            httpx.post(f"{server.url}/sandbox/markets", json=change).raise_for_status()

        set_price(PRICE)
        clock.advance(10)
        yield Bench(exchange, exchange, clock, set_price)


class TestMarketData(MarketDataContract):
    pass


class TestTrading(TradingContract):
    pass
