"""The exchange contract over ccxt speaking to the sandbox's exchanges, as it would to the real venues."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.contracts_contract import ContractTradingContract
from tests.contract.exchange_contract import Bench, MarketDataContract, TradingContract
from tests.contract.sandbox_bench import CONTRACT_MARKETS, CONTRACTS, SPOT, sandbox_bench


class TestMarketData(MarketDataContract):
    @pytest.fixture(
        params=[*SPOT.items(), *((name, symbols[0]) for name, symbols in CONTRACTS.items())],
        ids=lambda market: ":".join(market),
    )
    def bench(self, request: pytest.FixtureRequest) -> Iterator[Bench]:
        with sandbox_bench(*request.param) as bench:
            yield bench


class TestTrading(TradingContract):
    @pytest.fixture(params=SPOT.items(), ids=lambda market: ":".join(market))
    def bench(self, request: pytest.FixtureRequest) -> Iterator[Bench]:
        with sandbox_bench(*request.param) as bench:
            yield bench


class TestContracts(ContractTradingContract):
    @pytest.fixture(params=CONTRACT_MARKETS, ids=lambda market: ":".join(market))
    def bench(self, request: pytest.FixtureRequest) -> Iterator[Bench]:
        with sandbox_bench(*request.param) as bench:
            yield bench
