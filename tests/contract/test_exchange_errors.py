"""What can go wrong at each of the sandbox's exchanges, and what it is translated to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import NamedTuple
from uuid import uuid4

import pytest

from missiondesk.exchanges.ccxt_exchange import CcxtExchange
from missiondesk.exchanges.sandbox.address import SANDBOX_PASSPHRASE, SANDBOX_SECRET
from missiondesk.exchanges.sandbox.exchange import Exchange
from missiondesk.exchanges.sandbox.faults import Answer, Fault, Faults
from missiondesk.exchanges.sandbox.server import SandboxServer
from models.errors import (
    CredentialsRefused,
    ExchangeUnreachable,
    OrderRejected,
    OutcomeUnknown,
    UnknownName,
    VenueClosed,
)
from models.order import ExchangeOrder
from tests.contract.exchange_contract import ManualClock
from tests.contract.sandbox_bench import CONTRACTS, SPOT, credentials, inside, opened


class Words(NamedTuple):
    """Endpoints and errors as a venue calls them."""

    placing: str
    balances: str
    limited: str
    delisted: str


WORDS = {
    "sandbox": Words("AddOrder", "BalanceEx", "EAPI:Rate limit exceeded", "EQuery:Unknown asset pair"),
    "sandbox_okx": Words(
        "POST trade/batch-orders",
        "GET account/balance",
        "50011:Too Many Requests",
        "51001:Instrument ID does not exist.",
    ),
    "sandbox_bitmex": Words(
        "POST order", "GET user/margin", "429:Rate limit exceeded", "400:symbol is invalid"
    ),
}


@dataclass
class Place:
    """One exchange of a sandbox, and one of its markets."""

    name: str
    server: SandboxServer
    clock: ManualClock
    venue: CcxtExchange
    exchange: Exchange
    faults: Faults

    @property
    def words(self) -> Words:
        return WORDS[self.name]

    @property
    def symbol(self) -> str:
        return CONTRACTS[self.name][0] if self.name in CONTRACTS else SPOT[self.name]

    def buy(self, lots: int = 1, client_order_id: str | None = None) -> ExchangeOrder:
        instrument = self.venue.instruments()[self.symbol]
        least = max(instrument.lot, instrument.min_amount) * (1 if instrument.is_contract else 200)
        return self.venue.place(
            client_order_id=client_order_id or uuid4().hex,
            symbol=self.symbol,
            side="buy",
            type="market",
            amount=least * lots,
            price=None,
            deadline=self.clock() + timedelta(seconds=20),
        )

    def reopened(self, **keys: str) -> CcxtExchange:
        return opened(self.server, self.name, self.clock, credentials(**keys))


@pytest.fixture(params=WORDS)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    clock = ManualClock()
    with SandboxServer(clock=clock) as server:
        venue = opened(server, request.param, clock, timeout_seconds=1)
        venue.instruments()
        yield Place(request.param, server, clock, venue, *inside(server, request.param))


def test_wrong_keys_call_the_operator_and_are_not_said(place: Place) -> None:
    given = "YW5vdGhlciBzZWNyZXQ="
    for wrong in ("key", "secret", *(["passphrase"] if place.name == "sandbox_okx" else [])):
        with pytest.raises(CredentialsRefused) as raised:
            place.reopened(**{wrong: given}).balances()
        for secret in (given, SANDBOX_SECRET, SANDBOX_PASSPHRASE):
            assert secret not in str(raised.value)


LOST = {
    "the connection breaks": {"acts": True, "answer": Answer.DROPPED},
    "half of it arrives": {"answer": Answer.TRUNCATED},
    "a proxy answers instead": {"acts": True, "answer": Answer.HTML, "status": 502},
    "the server fails": {"acts": True, "answer": Answer.STATUS, "status": 500},
    "it takes too long": {"acts": True, "wait_after": 1.5},
}


@pytest.mark.parametrize("lost", LOST)
def test_an_order_whose_answer_is_lost_is_unknown_and_then_found(place: Place, lost: str) -> None:
    place.faults.add(Fault.model_validate({"endpoint": place.words.placing, **LOST[lost]}))
    client_order_id = uuid4().hex
    with pytest.raises(OutcomeUnknown):
        place.buy(client_order_id=client_order_id)
    found = place.venue.find(client_order_id, place.symbol, since=place.clock())
    assert found is not None
    assert (found.status, found.filled) == ("closed", found.amount)
    assert len(place.exchange.orders) == 1


def test_an_order_lost_on_its_way_is_nowhere(place: Place) -> None:
    place.faults.add(Fault(endpoint=place.words.placing, answer=Answer.DROPPED))
    client_order_id = uuid4().hex
    with pytest.raises(OutcomeUnknown):
        place.buy(client_order_id=client_order_id)
    assert place.venue.find(client_order_id, place.symbol, since=place.clock()) is None


@pytest.mark.parametrize(
    "answer", [Answer.DROPPED, Answer.TRUNCATED, Answer.HTML, Answer.STATUS, Answer.ERROR]
)
def test_a_read_that_fails_may_be_repeated(place: Place, answer: Answer) -> None:
    fault = Fault(endpoint=place.words.balances, answer=answer, error=place.words.limited)
    place.faults.add(fault)
    with pytest.raises(ExchangeUnreachable):
        place.venue.balances()
    assert place.venue.balances()


def test_a_call_too_many_places_no_order_and_may_be_repeated(place: Place) -> None:
    place.faults.add(Fault(endpoint=place.words.placing, answer=Answer.ERROR, error=place.words.limited))
    with pytest.raises(ExchangeUnreachable):
        place.buy()
    assert place.buy().status == "closed"


def test_what_the_account_can_t_pay_for_is_refused(place: Place) -> None:
    place.exchange.set_balances(dict.fromkeys(place.exchange.balances, Decimal("0.00000001")))
    with pytest.raises(OrderRejected, match="nsufficient"):
        place.buy()
    assert place.exchange.orders == ()


def test_less_than_the_minimum_is_refused(place: Place) -> None:
    instrument = place.venue.instruments()[place.symbol]
    with pytest.raises(OrderRejected, match=r"at least|steps"):
        place.venue.place(
            client_order_id=uuid4().hex,
            symbol=place.symbol,
            side="buy",
            type="market",
            amount=instrument.min_amount / 2,
            price=None,
            deadline=place.clock() + timedelta(seconds=20),
        )


def test_an_id_that_is_in_use_leaves_it_open_which_order_was_meant(place: Place) -> None:
    instrument = place.venue.instruments()[place.symbol]
    client_order_id = uuid4().hex
    limit = (place.venue.ticker(place.symbol).bid / 2).quantize(Decimal(1))

    def rest() -> ExchangeOrder:
        return place.venue.place(
            client_order_id=client_order_id,
            symbol=place.symbol,
            side="buy",
            type="limit",
            amount=instrument.min_amount * (1 if instrument.is_contract else 200),
            price=limit,
            deadline=place.clock() + timedelta(seconds=20),
        )

    assert rest().status == "open"
    with pytest.raises(OutcomeUnknown, match="already has an order"):
        rest()


def test_a_symbol_it_never_had_is_named_one_it_had_calls_the_operator(place: Place) -> None:
    with pytest.raises(UnknownName, match="BTC/"):
        place.venue.ticker("BTC/USX")
    place.faults.add(Fault(endpoint=place.words.placing, answer=Answer.ERROR, error=place.words.delisted))
    with pytest.raises(VenueClosed, match="no longer lists"):
        place.buy()
