"""Venues other than Kraken through the same adapter: their instruments, and what their orders carry."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from pydantic import SecretStr

from missiondesk.exchanges.ccxt_exchange import CcxtExchange
from missiondesk.exchanges.credentials import Credentials
from models.errors import ExchangeUnreachable, InputRefused, UnknownName, VenueClosed
from models.market import Instrument
from models.order import ExchangeOrder, Position
from tests.contract.recorded_venue import Answer, RecordedVenue, Request, recorded_venue, recordings

NOW = datetime(2026, 3, 2, 12, 0, 30, tzinfo=UTC)
CLIENT_ORDER_ID = "da8e4ad59b78481c93e589746b0cf91f"
CREDENTIALS = Credentials(
    key=SecretStr("an-api-key-1234567890"),
    secret=SecretStr("c2VjcmV0LXNlY3JldC1zZWNyZXQ="),
    passphrase=SecretStr("a-passphrase"),
)


MARKET = {
    "symbol": "BTC/USD",
    "base": "BTC",
    "quote": "USD",
    "precision": {"amount": "0.001", "price": "0.5"},
    "limits": {"amount": {}, "cost": {}},
}


@pytest.fixture
def venue() -> Iterator[RecordedVenue]:
    with recorded_venue() as venue:
        yield venue


@pytest.fixture
def wire(shared_data: Path) -> Path:
    return shared_data / "wire"


def opened(name: str, url_overrides: dict[str, str]) -> CcxtExchange:
    return CcxtExchange(
        name,
        name,
        credentials=CREDENTIALS,
        url_overrides=url_overrides,
        limit_rate=False,
        timeout_seconds=2,
        clock=lambda: NOW,
    )


@pytest.fixture
def okx(venue: RecordedVenue, wire: Path) -> CcxtExchange:
    def instruments(request: Request) -> Answer:
        kind = dict(parse_qsl(request.query))["instType"]
        return Answer((wire / "okx" / "rest" / f"instruments_{kind}_2022-05.json").read_text())

    venue.says("/public/instruments", instruments)
    venue.says(
        "/asset/currencies", Answer(recordings(wire / "okx" / "rest" / "jkorf_account.jsonl")["GetAssets"])
    )
    return opened("okx", {"rest": venue.url})


@pytest.fixture
def krakenfutures(venue: RecordedVenue, wire: Path) -> CcxtExchange:
    recorded = wire / "kraken" / "rest" / "nautilus" / "http_futures_instruments.json"
    venue.says("/instruments", Answer(recorded.read_text()))
    apis = ("charts", "history", "feeschedules", "public", "private")
    return opened("krakenfutures", {api: f"{venue.url}/{api}/" for api in apis})


@pytest.fixture
def bitmex(venue: RecordedVenue, wire: Path) -> CcxtExchange:
    folder = wire / "bitmex" / "rest"
    venue.says("/instrument/active", Answer((folder / "instrument_active_2021-07.json").read_text()))
    venue.says("/wallet/assets", Answer(recordings(folder / "jkorf_endpoints.jsonl")["GetAssets"]))
    return opened("bitmex", {"public": venue.url, "private": venue.url})


def place(exchange: CcxtExchange, symbol: str, amount: str, price: str | None, **more: object) -> None:
    order = exchange.place(
        client_order_id=CLIENT_ORDER_ID,
        symbol=symbol,
        side="buy",
        type="market" if price is None else "limit",
        amount=Decimal(amount),
        price=None if price is None else Decimal(price),
        deadline=NOW + timedelta(seconds=20),
        **more,  # type: ignore[arg-type]
    )
    assert order.exchange_order_id


def test_okx_spot_and_contracts_have_their_steps(okx: CcxtExchange) -> None:
    instruments = okx.instruments()
    spot, swap = instruments["BTC/USDT"], instruments["BTC/USD:BTC"]
    assert (spot.is_contract, spot.lot, spot.tick) == (False, Decimal("0.00000001"), Decimal("0.1"))
    assert (swap.is_contract, swap.inverse, swap.contract_size, swap.settle) == (
        True,
        True,
        Decimal(100),
        "BTC",
    )
    assert not any(symbol.endswith(("-C", "-P")) for symbol in instruments)


def test_an_okx_order_carries_its_client_order_id(
    venue: RecordedVenue, okx: CcxtExchange, wire: Path
) -> None:
    answers = recordings(wire / "okx" / "rest" / "jkorf_trading.jsonl")
    venue.says("/trade/batch-orders", Answer(answers["PlaceOrder"]))
    venue.says("/trade/order", Answer(answers["PlaceOrder"]))
    place(okx, "BTC/USDT", "0.01", "20000")
    sent = json.loads(next(request.body for request in venue.requests if request.method == "POST"))
    order = sent[0] if isinstance(sent, list) else sent
    assert {name: order[name] for name in ("instId", "clOrdId", "side", "ordType", "sz", "px")} == {
        "instId": "BTC-USDT",
        "clOrdId": CLIENT_ORDER_ID,
        "side": "buy",
        "ordType": "limit",
        "sz": "0.01",
        "px": "20000",
    }


def test_an_okx_order_is_asked_for_by_its_client_order_id(
    venue: RecordedVenue, okx: CcxtExchange, wire: Path
) -> None:
    answer = json.loads(recordings(wire / "okx" / "rest" / "jkorf_trading.jsonl")["GetOrderDetails"])
    answer["data"][0] |= {"clOrdId": CLIENT_ORDER_ID, "tgtCcy": "base_ccy", "sz": "0.00192834"}
    venue.says("/trade/order", Answer(json.dumps(answer)))
    order = okx.find(CLIENT_ORDER_ID, "BTC/USDT", since=NOW)
    assert order is not None
    assert (order.exchange_order_id, order.status) == ("680800019749904384", "closed")
    assert order.filled == order.amount == Decimal("0.00192834")
    # Paid in bitcoin, told in dollars.
    assert order.fee == Decimal("0.00000192834") * Decimal(51858)
    assert dict(parse_qsl(venue.asked("/trade/order")[0].query))["clOrdId"] == CLIENT_ORDER_ID


def test_a_venue_that_shows_only_a_part_of_its_orders_leaves_it_open(
    venue: RecordedVenue, okx: CcxtExchange, wire: Path
) -> None:
    other = json.loads(recordings(wire / "okx" / "rest" / "jkorf_trading.jsonl")["GetOrderDetails"])["data"][
        0
    ]
    other |= {"cTime": str(int(NOW.timestamp() * 1000)), "clOrdId": "another"}
    page = {"code": "0", "msg": "", "data": [other | {"ordId": str(number)} for number in range(100)]}
    venue.says("/trade/order", Answer('{"code":"51603","msg":"Order does not exist","data":[]}'))
    venue.says("/trade/orders-pending", Answer('{"code":"0","msg":"","data":[]}'))
    venue.says("/trade/orders-history", Answer(json.dumps(page)))
    with pytest.raises(ExchangeUnreachable, match="more orders"):
        okx.find(CLIENT_ORDER_ID, "BTC/USDT", since=NOW)


def test_kraken_futures_are_contracts(krakenfutures: CcxtExchange) -> None:
    instrument = next(iter(krakenfutures.instruments().values()))
    assert isinstance(instrument, Instrument)
    assert (instrument.symbol, instrument.is_contract) == ("BTC/USD:BTC", True)
    assert (instrument.inverse, instrument.contract_size) == (True, Decimal(1))
    assert (instrument.lot, instrument.tick) == (Decimal(1), Decimal("0.5"))


def test_a_kraken_futures_order_carries_its_id_and_deadline(
    venue: RecordedVenue, krakenfutures: CcxtExchange, wire: Path
) -> None:
    recorded = wire / "kraken" / "rest" / "nautilus" / "http_send_order_futures.json"
    venue.says("/sendorder", Answer(recorded.read_text()))
    place(krakenfutures, "BTC/USD:BTC", "10", None, reduce_only=True)
    sent = dict(parse_qsl(venue.asked("/sendorder")[0].query))
    assert (sent["cliOrdId"], sent["size"], sent["reduceOnly"]) == (CLIENT_ORDER_ID, "10", "true")
    assert sent["processBefore"] == "2026-03-02T12:00:50.000Z"


def futures_event(
    kind: str, order: str = "ours", symbol: str = "PI_XBTUSD", **changes: str
) -> dict[str, Any]:
    told = {
        "uid": order,
        "tradeable": symbol,
        "direction": "Buy",
        "quantity": "10",
        "filled": "0",
        "timestamp": str(int(NOW.timestamp() * 1000)),
        "limitPrice": "20000",
        "orderType": "Limit",
        "clientId": CLIENT_ORDER_ID if order == "ours" else "",
        **changes,
    }
    if kind == "OrderUpdated":
        return {"event": {kind: {"newOrder": told, "reason": "full_fill"}}}
    return {"event": {kind: {"order": told}}}


class TestKrakenFuturesHistory:
    """Its history is of events, a hundred of all markets at once."""

    @pytest.fixture(autouse=True)
    def nothing_else(self, venue: RecordedVenue) -> None:
        venue.says("/openorders", Answer('{"result":"success","openOrders":[]}'))
        venue.says("/fills", Answer('{"result":"success","fills":[]}'))

    def find(
        self, venue: RecordedVenue, krakenfutures: CcxtExchange, *events: dict[str, Any]
    ) -> ExchangeOrder | None:
        venue.says("/orders", Answer(json.dumps({"elements": events})))
        return krakenfutures.find(CLIENT_ORDER_ID, "BTC/USD:BTC", since=NOW)

    def test_without_an_event_of_it_an_order_is_absent(
        self, venue: RecordedVenue, krakenfutures: CcxtExchange
    ) -> None:
        assert self.find(venue, krakenfutures, futures_event("OrderPlaced", "another")) is None

    @pytest.mark.parametrize("end", ["/orders", "/fills"])
    def test_a_page_full_of_another_market_leaves_it_open(
        self, venue: RecordedVenue, krakenfutures: CcxtExchange, end: str
    ) -> None:
        others = [futures_event("OrderPlaced", f"{number}", "PF_ETHUSD") for number in range(100)]
        fill = {
            "fillTime": "2026-03-02T12:00:00.000Z",
            "order_id": "1",
            "fill_id": "2",
            "symbol": "pf_ethusd",
        }
        fills = [fill | {"side": "buy", "size": 1, "price": 2000, "fillType": "maker"}] * 100
        venue.says("/fills", Answer(json.dumps({"fills": fills if end == "/fills" else []})))
        with pytest.raises(ExchangeUnreachable, match="more orders"):
            self.find(venue, krakenfutures, *(others if end == "/orders" else []))

    def test_an_order_that_was_only_placed_is_not_cancelled(
        self, venue: RecordedVenue, krakenfutures: CcxtExchange
    ) -> None:
        with pytest.raises(ExchangeUnreachable, match="how order ours ended"):
            self.find(venue, krakenfutures, futures_event("OrderPlaced"))

    @pytest.mark.parametrize(
        ("last", "status", "filled"),
        [
            (futures_event("OrderUpdated", quantity="0", filled="10"), "closed", 10),
            (futures_event("OrderCancelled", quantity="6", filled="4"), "cancelled", 4),
            (futures_event("OrderCancelled"), "cancelled", 0),
        ],
    )
    def test_the_last_event_tells_how_it_ended(
        self,
        venue: RecordedVenue,
        krakenfutures: CcxtExchange,
        last: dict[str, Any],
        status: str,
        filled: int,
    ) -> None:
        order = self.find(venue, krakenfutures, last, futures_event("OrderPlaced"))
        assert order is not None
        assert (order.status, order.amount, order.filled) == (status, 10, filled)


@pytest.mark.parametrize("entries", [0, 1])
def test_where_pages_are_not_known_only_an_empty_list_is_whole(
    venue: RecordedVenue, okx: CcxtExchange, monkeypatch: pytest.MonkeyPatch, entries: int
) -> None:
    monkeypatch.setattr(okx, "_venue", replace(okx._venue, page=None))
    other = {"instId": "ETH-USDT", "ordId": "1", "side": "buy", "state": "filled", "cTime": "1", "sz": "1"}
    venue.says("/trade/order", Answer('{"code":"51603","msg":"Order does not exist","data":[]}'))
    for end in ("/trade/orders-pending", "/trade/fills-history", "/trade/fills"):
        venue.says(end, Answer('{"code":"0","msg":"","data":[]}'))
    venue.says("/trade/orders-history", Answer(json.dumps({"code": "0", "data": [other] * entries})))
    if entries:
        with pytest.raises(ExchangeUnreachable, match="more orders"):
            okx.find(CLIENT_ORDER_ID, "BTC/USDT", since=NOW)
    else:
        assert okx.find(CLIENT_ORDER_ID, "BTC/USDT", since=NOW) is None


@pytest.mark.parametrize(
    ("name", "amount", "price", "steps"),
    [
        ("kraken", "0.001", "0.5", ("0.001", "0.5")),
        ("foxbit", "8", "0", ("0.00000001", "1")),
        ("bitfinex", "8", "5", None),
    ],
)
def test_precisions_are_read_as_the_exchange_means_them(
    name: str, amount: str, price: str, steps: tuple[str, str] | None
) -> None:
    exchange = opened(name, {})
    exchange._wire.client.load_markets = lambda reload: {
        "BTC/USD": MARKET | {"precision": {"amount": amount, "price": price}}
    }
    if steps is None:
        assert not exchange.instruments()
        with pytest.raises(InputRefused, match="no market of bitfinex has a fixed step"):
            exchange.ticker("BTC/USD")
    else:
        instrument = exchange.instruments()["BTC/USD"]
        assert (instrument.lot, instrument.tick) == tuple(map(Decimal, steps))


@pytest.mark.parametrize(
    ("name", "depth", "asked"),
    [
        ("kucoin", 5, 20),
        ("kucoin", 50, 100),
        ("kucoin", 500, 100),
        ("htx", 5, 5),
        ("htx", 50, 150),
        ("htx", 500, 150),
        ("bitstamp", 7, 7),
    ],
)
def test_a_book_is_asked_for_as_deep_as_the_venue_takes_and_cut_afterwards(
    name: str, depth: int, asked: int
) -> None:
    exchange, depths = opened(name, {}), list[int]()
    exchange._wire.client.load_markets = lambda reload: {"BTC/USD": MARKET}

    def book(symbol: str, limit: int) -> dict[str, Any]:
        depths.append(limit)
        levels = range(1, limit + 1)
        return {
            "bids": [[1000 - level, 1] for level in levels],
            "asks": [[1000 + level, 1] for level in levels],
        }

    exchange._wire.client.fetch_order_book = book
    found = exchange.order_book("BTC/USD", depth)
    assert depths == [asked]
    assert len(found.bids) == len(found.asks) == min(depth, asked)
    assert (found.bids[0].price, found.asks[0].price) == (999, 1001)


class TestMarketsListedLater:
    @pytest.fixture(autouse=True)
    def listing(self) -> None:
        self.now, self.listed, self.reads, self.away = NOW, ["BTC/USD"], 0, False
        self.exchange = CcxtExchange("kraken", "kraken", clock=lambda: self.now)
        self.exchange._wire.client.load_markets = self.load
        self.exchange.instruments()

    def load(self, reload: bool) -> dict[str, Any]:
        assert reload, "else ccxt gives what it has"
        self.reads += 1
        if self.away:
            raise ValueError("cut off")
        return {symbol: MARKET | {"symbol": symbol} for symbol in self.listed}

    def test_they_are_there_some_hours_later(self) -> None:
        self.listed = ["ETH/USD"]
        self.now += timedelta(hours=3)
        assert list(self.exchange.instruments()) == ["BTC/USD"]
        self.now += timedelta(hours=1)
        assert list(self.exchange.instruments()) == ["ETH/USD"]

    def test_the_old_list_is_used_while_no_newer_one_can_be_had(self) -> None:
        self.away = True
        self.now += timedelta(hours=5)
        assert [list(self.exchange.instruments()) for _ in range(2)] == [["BTC/USD"]] * 2
        assert self.reads == 2, "once a minute at most"

    def test_a_symbol_is_looked_for_once_more_before_it_is_unknown(self) -> None:
        self.listed.append("ETH/USD")
        self.now += timedelta(minutes=1)
        assert self.exchange._instrument("ETH/USD").symbol == "ETH/USD"
        for _ in range(3):
            with pytest.raises(UnknownName):
                self.exchange._instrument("XRP/USD")
        assert self.reads == 2, "once a minute at most"


def test_an_order_is_sought_with_the_calls_that_an_exchange_has(
    venue: RecordedVenue, okx: CcxtExchange
) -> None:
    okx._wire.client.has |= {"fetchClosedOrders": False, "fetchCanceledOrders": False}
    venue.says("/trade/order", Answer('{"code":"51603","msg":"Order does not exist","data":[]}'))
    for end in ("/trade/orders-pending", "/trade/fills-history", "/trade/fills"):
        venue.says(end, Answer('{"code":"0","msg":"","data":[]}'))
    assert okx.find(CLIENT_ORDER_ID, "BTC/USDT", since=NOW) is None


def test_bitmex_names_its_closing_and_where_to_go() -> None:
    with pytest.raises(VenueClosed, match=r"2026-09-23.*Kraken Futures"):
        CcxtExchange("bitmex", "bitmex")


def test_bitmex_contracts_are_worth_a_dollar_and_quantos_are_left_out(bitmex: CcxtExchange) -> None:
    instruments = bitmex.instruments()
    perpetual = instruments["BTC/USD:BTC"]
    assert (perpetual.inverse, perpetual.contract_size) == (True, Decimal(1))
    assert (perpetual.lot, perpetual.tick) == (Decimal(100), Decimal("0.5"))
    assert "ETH/USD:BTC" not in instruments


def test_bitmex_still_speaks_to_a_local_venue(venue: RecordedVenue, bitmex: CcxtExchange, wire: Path) -> None:
    venue.says("/order", Answer(recordings(wire / "bitmex" / "rest" / "jkorf_endpoints.jsonl")["PlaceOrder"]))
    place(bitmex, "BTC/USD:BTC", "100", None)
    assert json.loads(venue.asked("/order")[0].body)["clOrdID"] == CLIENT_ORDER_ID


class TestRecordedContracts:
    """What the venues said of contracts, in our values."""

    def test_okx_positions_are_signed_contracts(
        self, venue: RecordedVenue, okx: CcxtExchange, wire: Path
    ) -> None:
        recorded = json.loads((wire / "okx" / "rest" / "nautilus" / "http_get_positions.json").read_text())
        long = recorded["data"][0] | {"pos": "3", "posSide": "net"}
        short = long | {
            "pos": "-7",
            "instId": "BTC-USD-SWAP",
            "avgPx": "9000.5",
            "upl": "-0.001",
            "lever": "3",
        }
        flat = long | {"pos": "0", "instId": "ETH-USDT-SWAP"}
        venue.says("/account/positions", Answer(json.dumps(recorded | {"data": [long, short, flat]})))
        assert okx.positions() == [
            Position("BTC/USDT:USDT", Decimal(3), Decimal(10_000), Decimal(0), Decimal(10)),
            Position("BTC/USD:BTC", Decimal(-7), Decimal("9000.5"), Decimal("-0.001"), Decimal(3)),
        ]

    def test_okx_balances_are_what_is_available_and_the_equity(
        self, venue: RecordedVenue, okx: CcxtExchange, wire: Path
    ) -> None:
        recorded = wire / "okx" / "rest" / "nautilus" / "http_get_account_balance.json"
        venue.says("/account/balance", Answer(recorded.read_text()))
        assert okx.balances() == {"USDT": (Decimal("94.42612990333333"), Decimal("99.89469657000001"))}

    def test_an_inverse_okx_order_is_told_in_dollars(
        self, venue: RecordedVenue, okx: CcxtExchange, wire: Path
    ) -> None:
        recorded = json.loads(
            (wire / "okx" / "rest" / "nautilus" / "http_get_orders_history.json").read_text()
        )
        inverse = {"instId": "BTC-USD-SWAP", "feeCcy": "BTC", "fee": "-0.000005", "avgPx": "50000"}
        recorded["data"][0] |= inverse | {"sz": "5", "accFillSz": "5"}
        venue.says("/trade/order", Answer(json.dumps(recorded)))
        order = okx.find(CLIENT_ORDER_ID, "BTC/USD:BTC", since=NOW, exchange_order_id="2497956918703120384")
        assert order is not None
        assert (order.filled, order.average, order.cost) == (5, 50_000, 500)
        assert order.fee == Decimal("0.25")

    def test_a_leverage_is_set_before_the_order(
        self, venue: RecordedVenue, okx: CcxtExchange, wire: Path
    ) -> None:
        answers = recordings(wire / "okx" / "rest" / "jkorf_trading.jsonl")
        account = recordings(wire / "okx" / "rest" / "jkorf_account.jsonl")
        venue.says("/trade/batch-orders", Answer(answers["PlaceOrder"]))
        venue.says("/trade/order", Answer(answers["PlaceOrder"]))
        venue.says("/account/set-leverage", Answer(account["SetAccountLeverage"]))
        place(okx, "BTC/USD:BTC", "3", None, leverage=Decimal(5), reduce_only=True)
        sent = [request for request in venue.requests if request.method == "POST"]
        assert [request.path.rpartition("/")[2] for request in sent] == ["set-leverage", "batch-orders"]
        assert json.loads(sent[0].body) == {"lever": 5, "mgnMode": "cross", "instId": "BTC-USD-SWAP"}
        (order,) = json.loads(sent[1].body)
        assert (order["sz"], order["reduceOnly"], order["tdMode"]) == ("3", True, "cross")

    def test_bitmex_positions_have_the_sign_of_their_quantity(
        self, venue: RecordedVenue, bitmex: CcxtExchange, wire: Path
    ) -> None:
        recorded = wire / "bitmex" / "rest" / "nautilus" / "http_get_positions.json"
        venue.says("/position", Answer(recorded.read_text()))
        assert bitmex.positions() == [
            Position("BTC/USD:BTC", Decimal(100), Decimal("98390.88"), Decimal("0.0000135"), Decimal(10))
        ]

    def test_bitmex_orders_are_told_in_contracts_with_the_fees_of_their_fills(
        self, venue: RecordedVenue, bitmex: CcxtExchange, wire: Path
    ) -> None:
        folder = wire / "bitmex" / "rest" / "nautilus"
        (_, filled) = json.loads((folder / "http_get_orders.json").read_text())
        venue.says("/order", Answer(json.dumps([filled])))
        venue.says("/execution/tradeHistory", Answer((folder / "http_get_executions.json").read_text()))
        order = bitmex.find("any", "BTC/USD:BTC", since=NOW, exchange_order_id=filled["orderID"])
        assert order is not None
        assert (order.amount, order.filled, order.status) == (200, 200, "closed")
        assert (order.average, order.cost) == (Decimal("98950.5"), 200)
        assert order.fee == Decimal("0.00000227") * Decimal("98950.5")
