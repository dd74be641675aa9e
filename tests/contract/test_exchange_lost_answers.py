"""Lists of orders that can't be read, and two processes that use one key at a time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from pydantic import SecretStr

from missiondesk.exchanges.ccxt_exchange import CcxtExchange
from missiondesk.exchanges.credentials import Credentials
from missiondesk.exchanges.sandbox.address import SANDBOX_KEY, SANDBOX_SECRET, ccxt_urls
from missiondesk.exchanges.sandbox.faults import Answer, Fault
from missiondesk.exchanges.sandbox.server import SandboxServer
from models.errors import ExchangeUnreachable

SYMBOL = "BTC/USD"


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    with SandboxServer() as server:
        yield server


@pytest.fixture
def exchange(server: SandboxServer) -> CcxtExchange:
    exchange = opened(server)
    exchange.instruments()
    return exchange


def opened(server: SandboxServer) -> CcxtExchange:
    return CcxtExchange(
        "sandbox",
        "kraken",
        credentials=Credentials(key=SecretStr(SANDBOX_KEY), secret=SecretStr(SANDBOX_SECRET)),
        url_overrides=ccxt_urls(server.url)["urls"]["api"],
        limit_rate=False,
        timeout_seconds=1,
    )


@pytest.mark.parametrize("list_name", ["OpenOrders", "ClosedOrders", "TradesHistory"])
@pytest.mark.parametrize(
    "answer", [Answer.DROPPED, Answer.TRUNCATED, Answer.HTML, Answer.STATUS, Answer.ERROR]
)
def test_a_list_that_fails_never_means_that_an_order_is_absent(
    server: SandboxServer, exchange: CcxtExchange, list_name: str, answer: Answer
) -> None:
    server.sandbox.faults.add(Fault(endpoint=list_name, answer=answer))
    with pytest.raises(ExchangeUnreachable):
        exchange.find(uuid4().hex, SYMBOL, since=datetime.now(UTC))


def test_two_processes_on_one_key_get_through(server: SandboxServer) -> None:
    one, other = opened(server), opened(server)
    for _ in range(10):
        assert one.balances() == other.balances()
