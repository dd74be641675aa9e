"""What ccxt, unmodified, does on the sandbox's private endpoints."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import ccxt
import httpx
import pytest

from missiondesk.exchanges.sandbox.access import CallLimit
from missiondesk.exchanges.sandbox.address import SANDBOX_KEY, SANDBOX_SECRET, ccxt_urls
from missiondesk.exchanges.sandbox.server import SandboxServer

NOW = datetime(2026, 11, 22, 3, 4, 5, tzinfo=UTC)
CLIENT_ID = "6d47a5f06fd44b84b56ec23f0f689c20"
SYMBOL = "BTC/USD"


class SteppedClock:
    """Stands still until told."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def client(url: str, **changed: Any) -> ccxt.kraken:
    keys = {"apiKey": SANDBOX_KEY, "secret": SANDBOX_SECRET}
    kraken = ccxt.kraken({**keys, "enableRateLimit": False, **ccxt_urls(url), **changed})
    kraken.nonce = itertools.count(time.time_ns()).__next__  # ccxt's own is the same for a millisecond
    return kraken


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def server(clock: SteppedClock) -> Iterator[SandboxServer]:
    with SandboxServer(clock=clock) as server:
        yield server


@pytest.fixture
def kraken(server: SandboxServer) -> ccxt.kraken:
    return client(server.url)


def set_price(server: SandboxServer, price: float) -> None:
    httpx.post(f"{server.url}/sandbox/markets", json={"pair": SYMBOL, "price": price}).raise_for_status()


def test_a_market_order_moves_the_balances(kraken: ccxt.kraken) -> None:
    before = kraken.fetch_balance()
    ask = kraken.fetch_order_book(SYMBOL)["asks"][0][0]
    placed = kraken.create_order(SYMBOL, "market", "buy", 0.01, None, {"clientOrderId": CLIENT_ID})
    assert placed["status"] is None, "Kraken's AddOrder says no status"
    order = kraken.fetch_order(placed["id"])
    assert (order["status"], order["filled"], order["average"]) == ("closed", 0.01, ask)
    assert (order["clientOrderId"], order["symbol"]) == (CLIENT_ID, SYMBOL)
    assert order["fee"] == {"cost": f"{ask * 0.01 * 0.004:.5f}", "rate": None, "currency": "USD"}
    after = kraken.fetch_balance()
    assert after["BTC"]["total"] == pytest.approx(before["BTC"]["total"] + 0.01)
    assert after["USD"]["total"] == pytest.approx(before["USD"]["total"] - ask * 0.01 * 1.004)
    (trade,) = kraken.fetch_my_trades(SYMBOL)
    assert (trade["order"], trade["price"], trade["amount"]) == (placed["id"], ask, 0.01)
    assert trade["takerOrMaker"] == "taker"
    assert [trade["id"]] == [each["id"] for each in order["trades"]]


def test_a_limit_order_rests_until_the_price_goes_through_it(
    server: SandboxServer, kraken: ccxt.kraken, clock: SteppedClock
) -> None:
    limit = round(kraken.fetch_ticker(SYMBOL)["last"] - 100)
    placed = kraken.create_order(SYMBOL, "limit", "buy", 0.1, limit, {"clientOrderId": CLIENT_ID})
    (resting,) = kraken.fetch_open_orders(SYMBOL)
    assert (resting["id"], resting["price"], resting["filled"]) == (placed["id"], limit, 0)
    assert kraken.fetch_open_orders(params={"clientOrderId": CLIENT_ID})[0]["id"] == placed["id"]
    assert kraken.fetch_open_orders(params={"clientOrderId": "another"}) == []
    assert kraken.fetch_balance()["USD"]["used"] == pytest.approx(limit * 0.1 * 1.004)
    clock.pass_by(30)
    set_price(server, limit - 1)
    assert kraken.fetch_open_orders(SYMBOL) == []
    (done,) = kraken.fetch_closed_orders(SYMBOL, params={"clientOrderId": CLIENT_ID})
    assert (done["status"], done["average"], done["filled"]) == ("closed", limit, 0.1)
    assert done["fee"]["cost"] == f"{limit * 0.1 * 0.0025:.5f}"
    assert kraken.fetch_my_trades(SYMBOL)[0]["takerOrMaker"] == "maker"
    assert kraken.fetch_balance()["USD"]["used"] == 0


def test_orders_are_cancelled_by_txid_and_by_client_id(kraken: ccxt.kraken) -> None:
    first = kraken.create_order(SYMBOL, "limit", "buy", 0.1, 1000)
    kraken.create_order(SYMBOL, "limit", "buy", 0.1, 1000, {"clientOrderId": CLIENT_ID})
    kraken.cancel_order(first["id"])
    kraken.cancel_order("", None, {"clientOrderId": CLIENT_ID})
    assert [order["status"] for order in kraken.fetch_closed_orders()] == ["canceled", "canceled"]
    with pytest.raises(ccxt.OrderNotFound):
        kraken.cancel_order(first["id"])
    with pytest.raises(ccxt.OrderNotFound):
        kraken.cancel_order("", None, {"clientOrderId": CLIENT_ID})
    kraken.create_order(SYMBOL, "limit", "buy", 0.1, 1000, {"userref": 42})
    kraken.create_order(SYMBOL, "limit", "buy", 0.1, 1000)
    assert [order["clientOrderId"] for order in kraken.fetch_open_orders(params={"userref": 42})] == ["42"]
    kraken.cancel_order("", None, {"userref": 42})
    assert len(kraken.fetch_open_orders()) == 1
    kraken.cancel_all_orders()
    assert kraken.fetch_open_orders() == []


def test_query_orders_knows_txids_only(kraken: ccxt.kraken) -> None:
    kraken.create_order(SYMBOL, "limit", "buy", 0.1, 1000, {"clientOrderId": CLIENT_ID})
    with pytest.raises(ccxt.OrderNotFound):
        kraken.fetch_order(CLIENT_ID)
    with pytest.raises(ccxt.BadRequest):
        kraken.privatePostQueryOrders({"cl_ord_id": CLIENT_ID})


def test_closed_orders_come_newest_first_in_pages(kraken: ccxt.kraken, clock: SteppedClock) -> None:
    for _ in range(55):
        clock.pass_by(1)
        kraken.create_order(SYMBOL, "market", "buy", 0.0001)
    first = kraken.privatePostClosedOrders()["result"]
    second = kraken.privatePostClosedOrders({"ofs": 50})["result"]
    assert (first["count"], len(first["closed"]), len(second["closed"])) == (55, 50, 5)
    times = [order["closetm"] for page in (first, second) for order in page["closed"].values()]
    assert times == sorted(times, reverse=True)
    assert len(kraken.privatePostClosedOrders({"start": times[5]})["result"]["closed"]) == 5
    assert len(kraken.privatePostTradesHistory({"ofs": 50})["result"]["trades"]) == 5
    assert "count" not in kraken.privatePostClosedOrders({"without_count": "true"})["result"]


def test_validate_checks_and_places_nothing(kraken: ccxt.kraken) -> None:
    answer = kraken.privatePostAddOrder(
        {"pair": "XBTUSD", "type": "buy", "ordertype": "market", "volume": "0.1", "validate": "true"}
    )
    assert answer["result"] == {"descr": {"order": "buy 0.10000000 XBTUSD @ market"}}
    assert kraken.fetch_closed_orders() == []


def test_a_post_only_order_that_would_take_is_cancelled(kraken: ccxt.kraken) -> None:
    ask = kraken.fetch_ticker(SYMBOL)["ask"]
    placed = kraken.create_order(SYMBOL, "limit", "buy", 0.1, ask + 10, {"postOnly": True})
    assert kraken.fetch_order(placed["id"])["status"] == "canceled"


def test_trade_balance_is_the_worth_of_everything(kraken: ccxt.kraken) -> None:
    worth = kraken.privatePostTradeBalance()["result"]
    price = kraken.fetch_ticker("BTC/USD")["last"] * 2 + kraken.fetch_ticker("ETH/USD")["last"] * 20
    assert float(worth["eb"]) == pytest.approx(200_000 + price)


class TestRefusals:
    def refused(
        self, kraken: ccxt.kraken, error: type[Exception], said: str, *order: Any, **more: Any
    ) -> None:
        with pytest.raises(error, match=said):
            kraken.create_order(*order, more)
        assert kraken.fetch_closed_orders() == []

    def test_insufficient_funds(self, kraken: ccxt.kraken) -> None:
        said = "EOrder:Insufficient funds"
        self.refused(kraken, ccxt.InsufficientFunds, said, SYMBOL, "market", "buy", 50, None)
        self.refused(kraken, ccxt.InsufficientFunds, said, SYMBOL, "limit", "sell", 2.5, 90_000)

    def test_below_the_minimum(self, kraken: ccxt.kraken) -> None:
        said = "EOrder:Order minimum not met"
        self.refused(kraken, ccxt.InvalidOrder, said, SYMBOL, "market", "buy", 0.00001, None)
        said = "EOrder:Cost minimum not met"
        self.refused(kraken, ccxt.ExchangeError, said, SYMBOL, "limit", "buy", 0.0001, 1)

    def test_a_deadline_that_has_passed(self, kraken: ccxt.kraken) -> None:
        late = (NOW - timedelta(seconds=1)).isoformat()
        said = "EService:Deadline elapsed"
        self.refused(kraken, ccxt.ExchangeError, said, SYMBOL, "market", "buy", 0.1, None, deadline=late)

    def test_a_deadline_too_far_ahead(self, kraken: ccxt.kraken) -> None:
        far = (NOW + timedelta(seconds=61)).isoformat()
        said = "EGeneral:Invalid arguments:deadline"
        self.refused(kraken, ccxt.ExchangeError, said, SYMBOL, "market", "buy", 0.1, None, deadline=far)

    def test_a_deadline_still_ahead_is_met(self, kraken: ccxt.kraken) -> None:
        soon = (NOW + timedelta(seconds=5)).strftime("%Y-%m-%dT%H:%M:%SZ")
        assert kraken.create_order(SYMBOL, "market", "buy", 0.1, None, {"deadline": soon})["id"]

    def test_a_client_id_of_an_open_order(self, kraken: ccxt.kraken) -> None:
        kraken.create_order(SYMBOL, "limit", "buy", 0.1, 1000, {"clientOrderId": CLIENT_ID})
        said = "cl_ord_id already in use"
        self.refused(
            kraken, ccxt.ExchangeError, said, SYMBOL, "market", "buy", 0.1, None, clientOrderId=CLIENT_ID
        )
        kraken.cancel_all_orders()
        kraken.create_order(SYMBOL, "market", "buy", 0.1, None, {"clientOrderId": CLIENT_ID})

    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            ({"clientOrderId": "nineteen characters"}, "EGeneral:Invalid arguments:cl_ord_id"),
            ({"clientOrderId": CLIENT_ID, "userref": 7}, "EGeneral:Invalid arguments:userref"),
            ({"leverage": "3"}, "EOrder:Cannot open position"),
            ({"oflags": "viqc"}, "EGeneral:Invalid arguments:oflags"),
            ({"timeinforce": "GTD"}, "EGeneral:Invalid arguments:timeinforce"),
            ({"reduceOnly": True}, "EOrder:Reduce only:No position exists"),
            ({"deadline": "tomorrow"}, "EGeneral:Invalid arguments:deadline"),
        ],
    )
    def test_what_it_does_not_do_is_refused(
        self, kraken: ccxt.kraken, changed: dict[str, Any], said: str
    ) -> None:
        self.refused(kraken, ccxt.ExchangeError, said, SYMBOL, "limit", "buy", 0.1, 1000, **changed)

    def test_order_types_it_does_not_know(self, kraken: ccxt.kraken) -> None:
        stop = {"stopLossPrice": 1000}
        said = "EGeneral:Invalid arguments:ordertype"
        self.refused(kraken, ccxt.ExchangeError, said, SYMBOL, "market", "sell", 0.1, None, **stop)

    def test_more_decimals_than_the_pair_has(self, kraken: ccxt.kraken) -> None:
        order = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "volume": "0.1", "price": "1000.123"}
        with pytest.raises(ccxt.ExchangeError, match="XBTUSD price can only be specified up to 1 decimals"):
            kraken.privatePostAddOrder(order)

    def test_a_halted_pair(self, server: SandboxServer, kraken: ccxt.kraken) -> None:
        kraken.create_order(SYMBOL, "limit", "buy", 0.1, 1000)
        httpx.post(f"{server.url}/sandbox/markets", json={"pair": SYMBOL, "halted": True}).raise_for_status()
        with pytest.raises(ccxt.OnMaintenance, match="cancel_only"):
            kraken.create_order(SYMBOL, "market", "buy", 0.1)
        kraken.cancel_all_orders()


class TestAccess:
    def test_an_unknown_key(self, server: SandboxServer) -> None:
        with pytest.raises(ccxt.AuthenticationError, match="EAPI:Invalid key"):
            client(server.url, apiKey="somebody").fetch_balance()

    def test_a_wrong_secret(self, server: SandboxServer) -> None:
        with pytest.raises(ccxt.ExchangeError, match="EAPI:Invalid signature"):
            client(server.url, secret="d3Jvbmc=").fetch_balance()

    def test_a_nonce_that_does_not_grow(self, kraken: ccxt.kraken) -> None:
        nonce = time.time_ns()
        kraken.nonce = lambda: nonce
        kraken.fetch_balance()
        with pytest.raises(ccxt.InvalidNonce, match="EAPI:Invalid nonce"):
            kraken.fetch_balance()
        kraken.nonce = lambda: nonce + 1
        kraken.fetch_balance()

    def test_too_many_calls(self, clock: SteppedClock) -> None:
        with SandboxServer(clock=clock, call_limit=CallLimit(most=3, decay=1)) as server:
            kraken = client(server.url)
            kraken.load_markets()
            for _ in range(3):
                kraken.fetch_balance()
            with pytest.raises(ccxt.DDoSProtection, match="EAPI:Rate limit exceeded"):
                kraken.fetch_balance()
            kraken.create_order(SYMBOL, "market", "buy", 0.1)
            clock.pass_by(1)
            kraken.fetch_balance()
