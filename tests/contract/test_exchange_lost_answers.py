"""Orders whose answers are lost on the way from the sandbox: unknown at first, then found, sent once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from pydantic import SecretStr

from missiondesk.exchanges.ccxt_exchange import CcxtExchange
from missiondesk.exchanges.credentials import Credentials
from missiondesk.exchanges.sandbox.address import SANDBOX_KEY, SANDBOX_SECRET, ccxt_urls
from missiondesk.exchanges.sandbox.faults import Answer, Fault
from missiondesk.exchanges.sandbox.server import SandboxServer
from models.errors import CredentialsRefused, ExchangeUnreachable, OutcomeUnknown
from models.order import ExchangeOrder

SYMBOL = "BTC/USD"

LOST = {
    "the connection breaks": Fault(endpoint="AddOrder", acts=True, answer=Answer.DROPPED),
    "half of it arrives": Fault(endpoint="AddOrder", answer=Answer.TRUNCATED),
    "a proxy answers instead": Fault(endpoint="AddOrder", acts=True, answer=Answer.HTML, status=502),
    "it takes too long": Fault(endpoint="AddOrder", acts=True, wait_after=1.5),
}


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    with SandboxServer() as server:
        yield server


@pytest.fixture
def exchange(server: SandboxServer) -> CcxtExchange:
    exchange = opened(server)
    exchange.instruments()
    return exchange


def opened(server: SandboxServer, key: str = SANDBOX_KEY, secret: str = SANDBOX_SECRET) -> CcxtExchange:
    return CcxtExchange(
        "sandbox",
        "kraken",
        credentials=Credentials(key=SecretStr(key), secret=SecretStr(secret)),
        url_overrides=ccxt_urls(server.url)["urls"]["api"],
        limit_rate=False,
        timeout_seconds=1,
    )


def buy(exchange: CcxtExchange, client_order_id: str) -> ExchangeOrder:
    return exchange.place(
        client_order_id=client_order_id,
        symbol=SYMBOL,
        side="buy",
        type="market",
        amount=Decimal("0.01"),
        price=None,
        deadline=datetime.now(UTC) + timedelta(seconds=20),
    )


@pytest.mark.parametrize("lost", LOST)
def test_an_order_whose_answer_is_lost_is_unknown_and_then_found(
    server: SandboxServer, exchange: CcxtExchange, lost: str
) -> None:
    server.sandbox.faults.add(LOST[lost])
    id, before = uuid4().hex, datetime.now(UTC)
    with pytest.raises(OutcomeUnknown):
        buy(exchange, id)
    found = exchange.find(id, SYMBOL, since=before)
    assert found is not None
    assert (found.status, found.filled) == ("closed", Decimal("0.01"))
    assert len(server.sandbox.exchange.orders) == 1


def test_an_order_that_was_lost_on_its_way_is_nowhere(server: SandboxServer, exchange: CcxtExchange) -> None:
    server.sandbox.faults.add(Fault(endpoint="AddOrder", acts=False, answer=Answer.DROPPED))
    id, before = uuid4().hex, datetime.now(UTC)
    with pytest.raises(OutcomeUnknown):
        buy(exchange, id)
    assert exchange.find(id, SYMBOL, since=before) is None


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


@pytest.mark.parametrize(
    ("key", "secret"), [("another-key", SANDBOX_SECRET), (SANDBOX_KEY, "YW5vdGhlciBzZWNyZXQ=")]
)
def test_wrong_keys_call_the_operator(server: SandboxServer, key: str, secret: str) -> None:
    with pytest.raises(CredentialsRefused) as raised:
        opened(server, key, secret).balances()
    assert key not in str(raised.value) and secret not in str(raised.value)
