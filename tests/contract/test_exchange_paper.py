"""The exchange contract over the paper venue, on the sandbox's prices."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import httpx
import pytest

from missiondesk.exchanges.ccxt_exchange import CcxtExchange
from missiondesk.exchanges.paper import PaperExchange
from missiondesk.exchanges.sandbox.address import ccxt_urls
from missiondesk.exchanges.sandbox.server import SandboxServer
from missiondesk.store.database import connect
from models.account import Account
from tests.contract.exchange_contract import PRICE, SYMBOL, Bench, ManualClock, TradingContract


@pytest.fixture
def bench(database_url: str) -> Iterator[Bench]:
    clock = ManualClock()
    engine = connect(database_url)
    account = Account(name="paper", paper_balances={"USD": Decimal(100_000), "BTC": Decimal(2)})
    with SandboxServer(clock=clock) as server:
        market = CcxtExchange(
            "sandbox",
            "kraken",
            url_overrides=ccxt_urls(server.url)["urls"]["api"],
            limit_rate=False,
            clock=clock,
        )

        def set_price(price: Decimal) -> None:
            change = {"pair": SYMBOL, "price": str(price)}
            httpx.post(f"{server.url}/sandbox/markets", json=change).raise_for_status()

        set_price(PRICE)
        clock.advance(10)
        yield Bench(market, PaperExchange(engine, account, market, clock), clock, set_price)
    engine.dispose()


class TestTrading(TradingContract):
    pass
