"""The order gateway on the sandbox through ccxt, live and on paper: real time, real HTTP, real faults."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import SecretStr

from missiondesk.exchanges.ccxt_exchange import CcxtExchange
from missiondesk.exchanges.credentials import Credentials
from missiondesk.exchanges.paper import PaperExchange
from missiondesk.exchanges.port import Trading
from missiondesk.exchanges.sandbox.address import SANDBOX_KEY, SANDBOX_SECRET, ccxt_urls
from missiondesk.exchanges.sandbox.faults import Answer, Fault
from missiondesk.exchanges.sandbox.server import SandboxServer
from missiondesk.orders.gateway import OrderGateway
from missiondesk.orders.killswitch import KillSwitch
from missiondesk.orders.patience import Patience
from models.account import Account, Mode
from models.order import OrderProgress, TradeRequest
from tests.order_desk import ACCOUNT, HOLDER, OrderDesk, WallClock, at_place, little_desk

PATIENCE = Patience(send_window=timedelta(seconds=4), absence_margin=timedelta(seconds=0.5))


class SandboxDesk:
    """The rows of an OrderDesk, and gateways that trade on the sandbox instead of the little venue."""

    def __init__(self, rows: OrderDesk, server: SandboxServer) -> None:
        self.rows, self.server = rows, server
        self.exchange = CcxtExchange(
            "sandbox",
            "kraken",
            credentials=Credentials(key=SecretStr(SANDBOX_KEY), secret=SecretStr(SANDBOX_SECRET)),
            url_overrides=ccxt_urls(server.url)["urls"]["api"],
            limit_rate=False,
            timeout_seconds=3,
        )
        self.exchange.instruments()
        rows.set_account(exchange="sandbox", paper_balances={"USD": "100000"})

    def trading(self, account: Account, mode: Mode) -> Trading:
        if mode == "live":
            return self.exchange
        return PaperExchange(self.rows.engine, account, self.exchange, self.rows.clock)

    def request(self, mode: Mode) -> TradeRequest:
        request = self.rows.open_missionary()
        return replace(request, exchange="sandbox", amount=Decimal("0.01"), mode=mode)

    def tick(self, request: TradeRequest) -> OrderProgress:
        gateway = OrderGateway(
            self.rows.engine, self.trading, lambda name: self.exchange, HOLDER, patience=PATIENCE
        )
        return gateway.work(request, self.rows.clock())


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Iterator[SandboxDesk]:
    with little_desk(database_url, tmp_path) as rows, SandboxServer() as server:
        rows.clock = WallClock()
        yield SandboxDesk(rows, server)


@pytest.mark.parametrize("mode", ["live", "paper"])
def test_buying_and_closing_again(desk: SandboxDesk, mode: Mode) -> None:
    request = desk.request(mode)
    bought = desk.tick(request)
    assert bought.done, bought.message
    closing = replace(
        at_place(request, 1), side="sell", unit="percent", amount=Decimal(100), reduce_only=True
    )
    sold = desk.tick(closing)
    assert (sold.done, sold.filled) == (True, Decimal("0.01")), sold.message
    taker = desk.exchange.instruments()[request.symbol].taker
    for row in desk.rows.rows():
        assert row.fee == pytest.approx(row.cost * taker, rel=Decimal("0.001"))
        assert (row.status, row.account, row.mode) == ("filled", ACCOUNT, mode)
    assert len(desk.server.sandbox.exchange.orders) == (2 if mode == "live" else 0)


@pytest.mark.parametrize("mode", ["live", "paper"])
def test_a_resting_order_is_followed_and_halting_cancels_it(desk: SandboxDesk, mode: Mode) -> None:
    request = replace(desk.request(mode), price=Decimal(100), amount=Decimal(1))
    assert [desk.tick(request).rule for _ in range(2)] == ["OPEN", "OPEN"]
    switch = KillSwitch(
        desk.rows.engine, desk.trading, lambda name: desk.exchange, clock=desk.rows.clock, patience=PATIENCE
    )
    assert [order.status for order in switch.halt().ended] == ["cancelled"]
    assert desk.tick(request).rule == "DENIED"
    assert len(desk.rows.rows()) == 2


@pytest.mark.parametrize(
    "lost",
    [
        Fault(endpoint="AddOrder", acts=True, answer=Answer.DROPPED),
        Fault(endpoint="AddOrder", acts=True, answer=Answer.HTML, status=502),
        Fault(endpoint="AddOrder", answer=Answer.TRUNCATED),
        Fault(endpoint="AddOrder", acts=True, wait_after=4),
    ],
    ids=["dropped", "proxy", "truncated", "slow"],
)
def test_an_order_whose_answer_is_lost_is_found(desk: SandboxDesk, lost: Fault) -> None:
    request = desk.request("live")
    desk.server.sandbox.faults.add(lost)
    assert desk.tick(request).rule == "UNKNOWN"
    found = desk.tick(request)
    assert found.done, found.message
    assert len(desk.server.sandbox.exchange.orders) == 1


def test_an_order_lost_on_its_way_is_tried_again_when_it_can_no_longer_arrive(desk: SandboxDesk) -> None:
    request = desk.request("live")
    desk.server.sandbox.faults.add(Fault(endpoint="AddOrder", acts=False, answer=Answer.DROPPED))
    assert desk.tick(request).rule == "UNKNOWN"
    assert desk.tick(request).rule == "UNKNOWN"
    desk.rows.clock.forward(4.6)
    assert desk.tick(request).rule == "CANCELLED"
    again = desk.tick(request)
    assert again.done, again.message
    assert [row.status for row in desk.rows.rows()] == ["cancelled", "filled"]
    assert len(desk.server.sandbox.exchange.orders) == 1


def test_a_broken_look_up_is_not_an_absence(desk: SandboxDesk) -> None:
    request = replace(desk.request("live"), price=Decimal(100), amount=Decimal(1))
    assert desk.tick(request).rule == "OPEN"
    for endpoint in ("QueryOrders", "OpenOrders", "ClosedOrders"):
        desk.server.sandbox.faults.add(Fault(endpoint=endpoint, answer=Answer.DROPPED))
        assert desk.tick(request).rule == "OPEN"
    assert len(desk.server.sandbox.exchange.orders) == 1
