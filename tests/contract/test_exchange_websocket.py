"""The exchange contract with orders over the sandbox's websocket, and what can happen to their answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr

from missiondesk.exchanges.ccxt_calls import SocketCalls
from missiondesk.exchanges.ccxt_errors import Passage
from missiondesk.exchanges.ccxt_socket_exchange import SocketExchange
from missiondesk.exchanges.credentials import Credentials
from missiondesk.exchanges.open import open_exchange
from missiondesk.exchanges.sandbox.address import SANDBOX_KEY, SANDBOX_SECRET, ccxt_urls
from missiondesk.exchanges.sandbox.server import SandboxServer
from missiondesk.exchanges.venues import venue_of
from missiondesk.settings import Settings
from models.errors import CredentialsRefused, ExchangeUnreachable, OutcomeUnknown
from tests.contract.exchange_contract import PRICE, SYMBOL, Bench, ManualClock, TradingContract

KEYS = Credentials(key=SecretStr(SANDBOX_KEY), secret=SecretStr(SANDBOX_SECRET))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def sandbox(clock: ManualClock) -> Iterator[SandboxServer]:
    with SandboxServer(clock=clock) as server:
        yield server


def exchange_at(
    sandbox: SandboxServer, clock: ManualClock, seconds: float = 10.0, keys: Credentials = KEYS
) -> SocketExchange:
    return SocketExchange(
        "sandbox",
        "kraken",
        credentials=keys,
        url_overrides=ccxt_urls(sandbox.url)["urls"]["api"],
        limit_rate=False,
        timeout_seconds=seconds,
        clock=clock,
    )


@pytest.fixture
def bench(sandbox: SandboxServer, clock: ManualClock) -> Iterator[Bench]:
    exchange = exchange_at(sandbox, clock)

    def set_price(price: Decimal) -> None:
        change = {"pair": SYMBOL, "price": str(price)}
        httpx.post(f"{sandbox.url}/sandbox/markets", json=change).raise_for_status()

    set_price(PRICE)
    clock.advance(10)
    yield Bench(exchange, exchange, clock, set_price)
    exchange.close()


class TestTrading(TradingContract):
    pass


def fault(sandbox: SandboxServer, **what: object) -> None:
    httpx.post(f"{sandbox.url}/sandbox/faults", json={"endpoint": "add_order", **what}).raise_for_status()


def orders(sandbox: SandboxServer) -> list[str]:
    return [each["request"]["client_id"] for each in httpx.get(f"{sandbox.url}/sandbox/orders").json()]


def test_orders_go_over_the_websocket_with_their_deadline(bench: Bench, sandbox: SandboxServer) -> None:
    fault(sandbox, endpoint="AddOrder", answer="error", error="EGeneral:not by REST", times=None)
    placed = bench.place("buy", "0.01", Decimal(40_000), client_order_id="a" * 32)
    assert (placed.status, placed.amount) == ("open", Decimal("0.01"))
    assert sandbox.sandbox.exchange.orders[0].request.deadline == pytest.approx(
        (bench.clock() + timedelta(seconds=20)).timestamp()
    )


@pytest.mark.parametrize(
    "what", [{"answer": "dropped", "acts": True}, {"answer": "truncated"}, {"wait_after": 2.0}]
)
def test_an_order_whose_answer_is_lost_is_unknown_and_then_found(
    sandbox: SandboxServer, clock: ManualClock, what: dict[str, object]
) -> None:
    exchange = exchange_at(sandbox, clock, seconds=0.7)
    fixed = Bench(exchange, exchange, clock, lambda price: None)
    try:
        # Connects and logs in, which takes longer than its patience with an answer here.
        for _ in range(20):
            try:
                fixed.place("buy", "0.01", Decimal(30_000), client_order_id="b" * 32)
                break
            except ExchangeUnreachable:
                continue
        fault(sandbox, **what)
        with pytest.raises(OutcomeUnknown):
            fixed.place("buy", "0.01", Decimal(30_000), client_order_id="c" * 32)
        found = fixed.find("c" * 32)
        assert found is not None and found.status == "open"
        # The next one is answered, over a new connection if need be.
        fixed.place("buy", "0.01", Decimal(30_000), client_order_id="d" * 32)
        assert orders(sandbox) == ["b" * 32, "c" * 32, "d" * 32]
    finally:
        exchange.close()


def test_a_lost_connection_is_told_at_once_and_the_next_order_makes_a_new_one(
    bench: Bench, sandbox: SandboxServer
) -> None:
    bench.place("buy", "0.01", Decimal(30_000))
    fault(sandbox, wait_after=30)
    with ThreadPoolExecutor(1) as pool:
        placed = pool.submit(bench.place, "buy", "0.01", Decimal(30_000), client_order_id="e" * 32)
        while "e" * 32 not in orders(sandbox):
            time.sleep(0.01)
        cut_at = time.monotonic()
        assert httpx.delete(f"{sandbox.url}/sandbox/sockets").json() == {"dropped": 1}
        with pytest.raises(OutcomeUnknown, match="the connection was lost before an answer came"):
            placed.result(25)
        assert time.monotonic() - cut_at < 20, "no answer would come for 30 s"
    assert bench.find("e" * 32) is not None
    bench.place("buy", "0.01", Decimal(30_000))


def test_a_venue_that_is_not_there_takes_no_order(clock: ManualClock) -> None:
    with SandboxServer(clock=clock) as gone:
        exchange = exchange_at(gone, clock)
        exchange.instruments()
    try:
        fixed = Bench(exchange, exchange, clock, lambda price: None)
        with pytest.raises(ExchangeUnreachable):
            fixed.place("buy", "0.01", Decimal(30_000))
    finally:
        exchange.close()


def test_wrong_keys_are_said_and_not_shown(sandbox: SandboxServer, clock: ManualClock) -> None:
    wrong = Credentials(key=SecretStr("not-this-key"), secret=SecretStr("bm90IHRoaXMgc2VjcmV0"))
    exchange = exchange_at(sandbox, clock, keys=wrong)
    try:
        with pytest.raises(CredentialsRefused) as refused:
            Bench(exchange, exchange, clock, lambda price: None).place("buy", "0.01", Decimal(30_000))
        assert "not-this-key" not in str(refused.value)
    finally:
        exchange.close()


def test_many_who_call_at_once_get_each_his_own_answer(sandbox: SandboxServer, clock: ManualClock) -> None:
    calls = SocketCalls(
        "sandbox", venue_of("kraken"), KEYS, url_overrides=ccxt_urls(sandbox.url)["urls"]["api"]
    )
    for delay in (0.3, 0.2, 0.1, 0.25, 0.05):
        fault(sandbox, wait_after=delay)
    fault(sandbox, wait_before=0.1, answer="error", error="EOrder:Insufficient funds")
    together = threading.Barrier(12)

    def place(_: int) -> tuple[str, str]:
        client_order_id = uuid4().hex
        together.wait()
        passage = Passage()
        arguments = (SYMBOL, "limit", "buy", "0.01", "30000", {"clientOrderId": client_order_id})
        try:
            placed = calls.call("create_order_ws", arguments, passage)
        except Exception as error:
            assert "Insufficient funds" in str(error)
            assert passage.sent and passage.answered
            return client_order_id, "refused"
        return client_order_id, placed["id"]

    try:
        with ThreadPoolExecutor(12) as pool:
            told = dict(pool.map(place, range(12)))
    finally:
        calls.close()
    taken = {order.request.client_id: order.id for order in sandbox.sandbox.exchange.orders}
    assert len(taken) == 11
    assert told == dict.fromkeys(told, "refused") | taken


def test_a_setting_sends_orders_over_the_websocket_where_the_venue_takes_them(sandbox: SandboxServer) -> None:
    environ = {"MISSIONDESK_EXCHANGE_URL": sandbox.url, "MISSIONDESK_ORDERS_OVER": "websocket"}
    opened = open_exchange("sandbox", Settings.load(environ), KEYS)
    assert isinstance(opened, SocketExchange)
    opened.close()
    for exchange in ("sandbox_okx", "krakenfutures"):
        assert not isinstance(open_exchange(exchange, Settings.load(environ), KEYS), SocketExchange)
    assert not isinstance(open_exchange("sandbox", Settings.load(environ)), SocketExchange)
    del environ["MISSIONDESK_ORDERS_OVER"]
    assert not isinstance(open_exchange("sandbox", Settings.load(environ), KEYS), SocketExchange)
