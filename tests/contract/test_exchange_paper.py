"""The exchange contract over the paper venue, on the prices of the sandbox's exchanges."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal

import pytest

from missiondesk.exchanges.paper import PaperExchange
from missiondesk.store.database import connect
from models.account import Account
from tests.contract.contracts_contract import ContractTradingContract
from tests.contract.exchange_contract import Bench, TradingContract
from tests.contract.sandbox_bench import CONTRACTS, SPOT, sandbox_bench

# An inverse future and a linear perpetual.
OKX = [("sandbox_okx", symbol) for symbol in CONTRACTS["sandbox_okx"]]
BALANCES = {"USD": Decimal(100_000), "USDT": Decimal(100_000), "BTC": Decimal(2)}


@contextmanager
def paper_bench(database_url: str, name: str, symbol: str) -> Iterator[Bench]:
    engine = connect(database_url)
    account = Account(name="paper", paper_balances=BALANCES)
    with sandbox_bench(name, symbol) as bench:
        yield replace(bench, trading=PaperExchange(engine, account, bench.market, bench.clock))
    engine.dispose()


class TestTrading(TradingContract):
    @pytest.fixture
    def bench(self, database_url: str) -> Iterator[Bench]:
        with paper_bench(database_url, "sandbox", SPOT["sandbox"]) as bench:
            yield bench


class TestContracts(ContractTradingContract):
    @pytest.fixture(params=OKX, ids=lambda market: ":".join(market))
    def bench(self, database_url: str, request: pytest.FixtureRequest) -> Iterator[Bench]:
        with paper_bench(database_url, *request.param) as bench:
            yield bench
