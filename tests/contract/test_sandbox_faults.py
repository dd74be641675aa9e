"""Each fault as ccxt sees it, and what the exchange did meanwhile."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from typing import Any

import ccxt
import httpx
import pytest

from missiondesk.exchanges.sandbox.address import SANDBOX_KEY, SANDBOX_SECRET, ccxt_urls
from missiondesk.exchanges.sandbox.server import SandboxServer

CLIENT_ID = "6d47a5f06fd44b84b56ec23f0f689c20"
ORDER: tuple[Any, ...] = ("BTC/USD", "market", "buy", 0.1, None, {"clientOrderId": CLIENT_ID})


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    with SandboxServer() as server:
        yield server


@pytest.fixture
def kraken(server: SandboxServer) -> ccxt.kraken:
    keys = {"apiKey": SANDBOX_KEY, "secret": SANDBOX_SECRET}
    kraken = ccxt.kraken({**keys, "enableRateLimit": False, "timeout": 1000, **ccxt_urls(server.url)})
    kraken.nonce = itertools.count(time.time_ns()).__next__  # ccxt's own is the same for a millisecond
    kraken.load_markets()
    return kraken


def arm(server: SandboxServer, endpoint: str, **fault: Any) -> None:
    httpx.post(f"{server.url}/sandbox/faults", json={"endpoint": endpoint, **fault}).raise_for_status()


def orders(server: SandboxServer) -> list[Any]:
    return list(httpx.get(f"{server.url}/sandbox/orders").json())


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"answer": "dropped"}, ccxt.NetworkError),
        ({"answer": "status", "status": 503}, ccxt.ExchangeNotAvailable),
        ({"answer": "status", "status": 520}, ccxt.ExchangeNotAvailable),
        ({"answer": "html", "status": 502}, ccxt.ExchangeNotAvailable),
        ({"answer": "error"}, ccxt.DDoSProtection),
        ({"answer": "error", "error": "EService:Unavailable"}, ccxt.ExchangeNotAvailable),
        ({"answer": "error", "error": "EService:Busy"}, ccxt.ExchangeNotAvailable),
    ],
)
@pytest.mark.parametrize("acts", [False, True])
def test_a_fault_answers_instead_of_or_after_acting(
    server: SandboxServer, kraken: ccxt.kraken, fault: dict[str, Any], error: type[Exception], acts: bool
) -> None:
    arm(server, "AddOrder", acts=acts, **fault)
    with pytest.raises(error):
        kraken.create_order(*ORDER)
    assert len(orders(server)) == int(acts)
    found = kraken.fetch_closed_orders(params={"clientOrderId": CLIENT_ID})
    assert [order["clientOrderId"] for order in found] == [CLIENT_ID] * int(acts)


def test_an_answer_cut_in_half(server: SandboxServer, kraken: ccxt.kraken) -> None:
    arm(server, "AddOrder", answer="truncated")
    assert kraken.create_order(*ORDER)["id"] is None, "ccxt takes what it can't parse for an empty answer"
    assert len(orders(server)) == 1


def test_a_slow_exchange_answers_late_and_acts_late(server: SandboxServer, kraken: ccxt.kraken) -> None:
    arm(server, "AddOrder", wait_before=0.3)
    started = kraken.milliseconds()
    kraken.create_order(*ORDER)
    assert kraken.milliseconds() - started >= 300
    assert orders(server)[0]["opened_at"] * 1000 >= started + 300


def test_a_deadline_elapses_while_the_exchange_is_slow(server: SandboxServer, kraken: ccxt.kraken) -> None:
    arm(server, "AddOrder", wait_before=0.3)
    deadline = kraken.iso8601(kraken.milliseconds() + 100)
    with pytest.raises(ccxt.ExchangeError, match="Deadline elapsed"):
        kraken.create_order("BTC/USD", "market", "buy", 0.1, None, {"deadline": deadline})
    assert orders(server) == []


def test_an_accepted_order_whose_answer_outlasts_the_clients_patience(
    server: SandboxServer, kraken: ccxt.kraken
) -> None:
    arm(server, "AddOrder", wait_after=30)
    kraken.timeout = 300
    with pytest.raises(ccxt.RequestTimeout):
        kraken.create_order(*ORDER)
    kraken.timeout = 5000
    assert kraken.fetch_closed_orders()[0]["clientOrderId"] == CLIENT_ID


def test_a_fault_strikes_as_often_as_told_and_only_its_endpoint(
    server: SandboxServer, kraken: ccxt.kraken
) -> None:
    arm(server, "Ticker", answer="status", times=2)
    for _ in range(2):
        with pytest.raises(ccxt.ExchangeNotAvailable):
            kraken.fetch_ticker("BTC/USD")
        kraken.fetch_balance()
    kraken.fetch_ticker("BTC/USD")
    (listed,) = httpx.get(f"{server.url}/sandbox/faults").json()
    assert (listed["endpoint"], listed["used"]) == ("Ticker", 2)


def test_a_fault_for_every_endpoint_lasts_until_it_is_taken_back(
    server: SandboxServer, kraken: ccxt.kraken
) -> None:
    arm(server, "*", answer="dropped", times=None)
    for call in (kraken.fetch_time, kraken.fetch_balance, kraken.fetch_balance):
        with pytest.raises(ccxt.NetworkError):
            call()
    httpx.delete(f"{server.url}/sandbox/faults").raise_for_status()
    kraken.fetch_balance()


def test_chance_is_seeded(server: SandboxServer, kraken: ccxt.kraken) -> None:
    def outcomes(seed: int) -> str:
        arm(server, "Time", answer="status", times=None, probability=0.5, seed=seed)
        seen = ""
        for _ in range(20):
            try:
                kraken.fetch_time()
                seen += "."
            except ccxt.ExchangeNotAvailable:
                seen += "x"
        httpx.delete(f"{server.url}/sandbox/faults").raise_for_status()
        return seen

    assert outcomes(1) == outcomes(1) != outcomes(2)
    assert 4 < outcomes(1).count("x") < 16


def test_a_fault_it_does_not_know_is_refused(server: SandboxServer) -> None:
    answer = httpx.post(f"{server.url}/sandbox/faults", json={"answer": "explode", "probability": 7})
    assert answer.status_code == 400
    assert "answer: Input should be" in answer.json()["error"]
    assert "probability: Input should be" in answer.json()["error"]
