"""ccxt's adapter against recorded and broken answers: exact values, errors translated, no secret said."""

from __future__ import annotations

import decimal
import json
import logging
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from missiondesk.exchanges.ccxt_exchange import CcxtExchange
from missiondesk.exchanges.credentials import Credentials
from models.errors import (
    CredentialsRefused,
    DataStale,
    ExchangeUnreachable,
    MissiondeskError,
    OrderRejected,
    OutcomeUnknown,
    VenueClosed,
)
from models.market import Level
from models.order import ExchangeOrder
from tests.contract.recorded_venue import Answer, RecordedVenue, Request, recorded_venue, recordings

SYMBOL = "BTC/USD"
NOW = datetime(2026, 3, 2, 12, 0, 30, tzinfo=UTC)
KEY, SECRET = "an-api-key-1234567890", "c2VjcmV0LXNlY3JldC1zZWNyZXQ="
CLIENT_ORDER_ID = "da8e4ad59b78481c93e589746b0cf91f"

PAIR = {
    "altname": "XBTUSD",
    "wsname": "XBT/USD",
    "base": "XXBT",
    "quote": "ZUSD",
    "pair_decimals": 1,
    "lot_decimals": 8,
    "lot_multiplier": 1,
    "leverage_buy": [2, 3],
    "leverage_sell": [2, 3],
    "fees": [[0, 0.4]],
    "fees_maker": [[0, 0.25]],
    "ordermin": "0.00005",
    "costmin": "0.5",
    "status": "online",
}
ASSETS = {name: {"altname": name[1:], "decimals": 10, "status": "enabled"} for name in ("XXBT", "ZUSD")}


def an_order(**changes: Any) -> dict[str, Any]:
    description = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "price": "27500.0", "price2": "0"}
    return {
        "cl_ord_id": CLIENT_ORDER_ID,
        "status": "closed",
        "opentm": NOW.timestamp(),
        "descr": {**description, "leverage": "none", "order": "buy 1.25000000 XBTUSD @ limit 27500.0"},
        "vol": "1.25000000",
        "vol_exec": "1.25000000",
        "cost": "34375.0",
        "fee": "34.37500",
        "price": "27500.0",
        "oflags": "fciq",
        **changes,
    }


@pytest.fixture
def venue() -> Iterator[RecordedVenue]:
    with recorded_venue() as venue:
        venue.result("/Assets", ASSETS)
        venue.result("/AssetPairs", {"XXBTZUSD": PAIR})
        yield venue


@pytest.fixture
def exchange(venue: RecordedVenue) -> CcxtExchange:
    return kraken(venue.url)


def kraken(url: str, secret: str = SECRET) -> CcxtExchange:
    return CcxtExchange(
        "kraken",
        "kraken",
        credentials=Credentials(key=SecretStr(KEY), secret=SecretStr(secret)),
        url_overrides={"public": url, "private": url},
        limit_rate=False,
        timeout_seconds=0.5,
        clock=lambda: NOW,
        sleep=lambda seconds: None,
    )


def place(exchange: CcxtExchange, **changes: Any) -> ExchangeOrder:
    asked: dict[str, Any] = {
        "client_order_id": CLIENT_ORDER_ID,
        "symbol": SYMBOL,
        "side": "buy",
        "type": "limit",
        "amount": Decimal("1.25"),
        "price": Decimal("27500"),
        "deadline": NOW + timedelta(seconds=20),
    }
    return exchange.place(**(asked | changes))


def find(exchange: CcxtExchange) -> ExchangeOrder | None:
    return exchange.find(CLIENT_ORDER_ID, SYMBOL, since=NOW - timedelta(minutes=1))


class TestRecordedAnswers:
    @pytest.fixture(autouse=True)
    def answers(self, venue: RecordedVenue, shared_data: Path) -> None:
        folder = shared_data / "wire" / "kraken" / "rest"
        names = {
            "OHLC": "GetKlines",
            "Depth": "GetOrderBook",
            "Ticker": "GetTicker",
            "Trades": "GetTradeHistory",
        }
        public = recordings(folder / "jkorf_exchangedata.jsonl")
        venue.says("/AssetPairs", Answer(public["GetSymbols"]))
        for end, name in names.items():
            venue.says(f"/public/{end}", Answer(public[name]))
        trading = recordings(folder / "jkorf_trading.jsonl")
        venue.says("/BalanceEx", Answer(recordings(folder / "jkorf_account.jsonl")["GetAvailableBalances"]))
        venue.says("/QueryOrders", Answer(trading["GetOrders"]))

    def test_an_instrument_has_its_steps_minimum_and_fees(self, exchange: CcxtExchange) -> None:
        instrument = exchange.instruments()[SYMBOL]
        assert (instrument.lot, instrument.tick) == (Decimal("0.00000001"), Decimal("0.1"))
        assert (instrument.maker, instrument.taker) == (Decimal("0.0016"), Decimal("0.0026"))
        assert instrument.min_amount == Decimal("0.0001")
        assert set(exchange.instruments()) == {"BTC/USD", "ETH/BTC"}

    def test_candles_are_as_served(self, exchange: CcxtExchange) -> None:
        candles = exchange.candles(SYMBOL, "1m", since=None, limit=3)
        assert candles.open_time.tolist() == [1688671260000, 1688671320000, 1688671380000]
        assert candles.high.tolist() == [30304.5, 30300.4, 30295.1]
        assert candles.volume.tolist() == [4.42996871, 2.13024789, 1.01836275]

    def test_prices_keep_every_digit(self, exchange: CcxtExchange) -> None:
        ticker = exchange.ticker(SYMBOL)
        assert (str(ticker.bid), str(ticker.ask), str(ticker.last)) == (
            "30300.00000",
            "30300.10000",
            "30303.20000",
        )
        assert ticker.at == NOW
        book = exchange.order_book(SYMBOL)
        assert book.asks[0] == Level(Decimal("30384.10000"), Decimal("2.059"))
        assert book.bids[-1] == Level(Decimal("30289.80000"), Decimal("5.001"))
        trades = exchange.trades(SYMBOL, since=datetime.fromtimestamp(1688669598, UTC))
        assert [(trade.side, str(trade.amount), trade.id) for trade in trades] == [
            ("sell", "0.00376960", "61044953"),
            ("sell", "0.01235716", "61044956"),
        ]

    def test_balances_are_free_and_total(self, exchange: CcxtExchange) -> None:
        assert exchange.balances() == {
            "USD": (Decimal("17185.45"), Decimal("25435.21")),
            "BTC": (Decimal("0.4012"), Decimal("1.2435")),
        }

    def test_a_fee_paid_in_base_is_valued_in_quote(self, exchange: CcxtExchange) -> None:
        order = exchange.find("x", SYMBOL, since=NOW, exchange_order_id="OMMDB2-FSB6Z-7W3HPO")
        assert order is not None
        assert (order.side, order.type, order.status, order.filled) == (
            "sell",
            "market",
            "closed",
            Decimal("0.25"),
        )
        assert (order.average, order.cost) == (Decimal(30000), Decimal(7500))
        assert order.fee == Decimal("7.5") * Decimal(30000)


READING = {
    "EAPI:Invalid key": CredentialsRefused,
    "EAPI:Invalid signature": CredentialsRefused,
    "EGeneral:Permission denied": CredentialsRefused,
    "EAuth:Account temporary disabled": CredentialsRefused,
    "EAPI:Invalid nonce": ExchangeUnreachable,
    "EAPI:Rate limit exceeded": ExchangeUnreachable,
    "EGeneral:Temporary lockout": ExchangeUnreachable,
    "EService:Unavailable": ExchangeUnreachable,
    "EService:Busy": ExchangeUnreachable,
    "EGeneral:Internal error": ExchangeUnreachable,
    "EGeneral:Unheard of": ExchangeUnreachable,
    "EQuery:Invalid asset pair": VenueClosed,
}

PLACING = {
    "EAPI:Invalid key": CredentialsRefused,
    "EAPI:Invalid signature": CredentialsRefused,
    "EGeneral:Permission denied": CredentialsRefused,
    "EOrder:Insufficient funds": OrderRejected,
    "EOrder:Order minimum not met": OrderRejected,
    "EGeneral:Invalid arguments:price": OrderRejected,
    "EService:Market in cancel_only mode": OrderRejected,
    "EOrder:Orders limit exceeded": OrderRejected,
    "EAPI:Invalid nonce": ExchangeUnreachable,
    "EAPI:Rate limit exceeded": ExchangeUnreachable,
    "EOrder:Rate limit exceeded": ExchangeUnreachable,
    "EService:Unavailable": OutcomeUnknown,
    "EService:Busy": OutcomeUnknown,
    "EGeneral:Internal error": OutcomeUnknown,
    "EService:Deadline elapsed": OutcomeUnknown,
    "EOrder:cl_ord_id already in use": OutcomeUnknown,
}

BROKEN = {
    "no answer": Answer(hang=True),
    "a cut connection": Answer(cut=True),
    "a proxy's page": Answer("<html>Bad gateway</html>", status=502),
    "a page that says all is well": Answer("<html>Welcome</html>"),
    "half an answer": Answer('{"error":[],"resu'),
    "an answer without a result": Answer('{"error":[]}'),
    "an empty result": Answer('{"error":[],"result":null}'),
    "a result of another shape": Answer('{"error":[],"result":"done"}'),
    "nothing": Answer(""),
}


class TestErrors:
    @pytest.mark.parametrize(("said", "expected"), READING.items())
    def test_a_refused_read_says_what_happens_next(
        self, venue: RecordedVenue, exchange: CcxtExchange, said: str, expected: type[MissiondeskError]
    ) -> None:
        venue.error("/BalanceEx", said)
        with pytest.raises(expected, match=said.partition(":")[2]) as raised:
            exchange.balances()
        assert_says_no_secret(raised.value)

    @pytest.mark.parametrize(("said", "expected"), PLACING.items())
    def test_a_refused_order_says_whether_it_may_rest_there(
        self, venue: RecordedVenue, exchange: CcxtExchange, said: str, expected: type[MissiondeskError]
    ) -> None:
        venue.error("/AddOrder", said)
        with pytest.raises(expected, match=said.partition(":")[2]) as raised:
            place(exchange)
        assert_says_no_secret(raised.value)

    @pytest.mark.parametrize("broken", BROKEN)
    def test_a_read_without_a_readable_answer_may_be_repeated(
        self, venue: RecordedVenue, exchange: CcxtExchange, broken: str
    ) -> None:
        venue.says("/BalanceEx", BROKEN[broken])
        with pytest.raises(ExchangeUnreachable) as raised:
            exchange.balances()
        assert_says_no_secret(raised.value)

    @pytest.mark.parametrize("broken", BROKEN)
    def test_an_order_without_a_readable_answer_is_unknown_and_sent_once(
        self, venue: RecordedVenue, exchange: CcxtExchange, broken: str
    ) -> None:
        venue.says("/AddOrder", BROKEN[broken])
        with pytest.raises(OutcomeUnknown) as raised:
            place(exchange)
        assert_says_no_secret(raised.value)
        assert len(venue.asked("/AddOrder")) == 1

    @pytest.mark.parametrize("status", [400, 403, 404, 429])
    def test_an_order_turned_away_at_the_door_was_not_taken(
        self, venue: RecordedVenue, exchange: CcxtExchange, status: int
    ) -> None:
        venue.says("/AddOrder", Answer("<html>no</html>", status=status))
        with pytest.raises(ExchangeUnreachable):
            place(exchange)

    def test_an_order_that_reached_nobody_was_not_taken(self, venue: RecordedVenue) -> None:
        exchange = kraken(venue.url)
        exchange.instruments()
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            nobody = f"http://127.0.0.1:{taken.getsockname()[1]}"
            exchange._wire.client.urls["api"] = {"public": nobody, "private": nobody}
            with pytest.raises(ExchangeUnreachable):
                place(exchange)

    def test_a_secret_that_is_no_base64_is_a_wrong_key(self, venue: RecordedVenue) -> None:
        exchange = kraken(venue.url, secret="not base64!")
        with pytest.raises(CredentialsRefused) as raised:
            exchange.balances()
        assert_says_no_secret(raised.value)

    def test_an_account_without_keys_is_told_so(self, venue: RecordedVenue) -> None:
        urls = {"public": venue.url, "private": venue.url}
        exchange = CcxtExchange("kraken", "kraken", url_overrides=urls, limit_rate=False)
        with pytest.raises(CredentialsRefused, match="this account has none"):
            exchange.balances()
        assert venue.asked("/BalanceEx") == []

    def test_a_venue_that_echoes_the_request_does_not_make_us_say_the_key(
        self, venue: RecordedVenue, exchange: CcxtExchange
    ) -> None:
        venue.says(
            "/BalanceEx", lambda request: Answer(f"denied {request.headers} {request.body}", status=500)
        )
        with pytest.raises(ExchangeUnreachable) as raised:
            exchange.balances()
        assert_says_no_secret(raised.value)
        assert len(str(raised.value)) < 400

    def test_a_debug_log_holds_no_key(
        self, venue: RecordedVenue, exchange: CcxtExchange, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        venue.result("/BalanceEx", {})
        exchange.balances()
        assert KEY not in caplog.text
        assert "API-Sign" not in caplog.text

    def test_a_nonce_that_came_too_late_is_sent_again_with_a_later_one(
        self, venue: RecordedVenue, exchange: CcxtExchange
    ) -> None:
        late = Answer(json.dumps({"error": ["EAPI:Invalid nonce"]}))
        venue.says("/AddOrder", late, late, Answer('{"error":[],"result":{"txid":["OA"],"descr":{}}}'))
        venue.result("/QueryOrders", {"OA": an_order()})
        assert place(exchange).status == "closed"
        nonces = [int(request.parameters["nonce"]) for request in venue.asked("/AddOrder")]
        assert nonces == sorted(set(nonces))
        assert len(nonces) == 3

    def test_the_rounding_of_our_own_numbers_stays(
        self, venue: RecordedVenue, exchange: CcxtExchange
    ) -> None:
        with decimal.localcontext():
            venue.error("/AddOrder", "EOrder:Insufficient funds")
            with pytest.raises(OrderRejected):
                place(exchange)
            assert decimal.getcontext().rounding == decimal.ROUND_HALF_EVEN

    def test_an_empty_side_is_no_price(self, venue: RecordedVenue, exchange: CcxtExchange) -> None:
        venue.result("/Ticker", {"XXBTZUSD": {"a": [], "b": ["1", "1", "1"], "c": ["1", "1"]}})
        with pytest.raises(DataStale, match="BTC/USD"):
            exchange.ticker(SYMBOL)


class TestPlacing:
    def test_the_order_carries_its_id_and_its_deadline(
        self, venue: RecordedVenue, exchange: CcxtExchange
    ) -> None:
        venue.result(
            "/AddOrder", {"txid": ["OA"], "descr": {"order": "buy 1.25000000 XBTUSD @ limit 27500.0"}}
        )
        venue.result("/QueryOrders", {"OA": an_order()})
        order = place(exchange)
        sent = venue.asked("/AddOrder")[0].parameters
        assert {
            name: sent[name] for name in ("pair", "type", "ordertype", "volume", "price", "cl_ord_id")
        } == {
            "pair": "XXBTZUSD",
            "type": "buy",
            "ordertype": "limit",
            "volume": "1.25",
            "price": "27500",
            "cl_ord_id": CLIENT_ORDER_ID,
        }
        assert sent["deadline"] == "2026-03-02T12:00:50.000Z"
        assert (order.exchange_order_id, order.client_order_id) == ("OA", CLIENT_ORDER_ID)
        assert (order.filled, order.average, order.fee) == (
            Decimal("1.25"),
            Decimal(27500),
            Decimal("34.375"),
        )

    def test_a_far_deadline_is_told_as_the_farthest_the_venue_takes(
        self, venue: RecordedVenue, exchange: CcxtExchange
    ) -> None:
        venue.result("/AddOrder", {"txid": ["OA"], "descr": {}})
        venue.result("/QueryOrders", {"OA": an_order()})
        place(exchange, deadline=NOW + timedelta(hours=1))
        assert venue.asked("/AddOrder")[0].parameters["deadline"] == "2026-03-02T12:01:29.000Z"

    def test_a_deadline_too_near_to_be_told_sends_nothing(
        self, venue: RecordedVenue, exchange: CcxtExchange
    ) -> None:
        with pytest.raises(OrderRejected, match="deadline"):
            place(exchange, deadline=NOW + timedelta(seconds=1))
        assert venue.asked("/AddOrder") == []

    @pytest.mark.parametrize("id", ["x" * 33, "with-hyphens", ""])
    def test_an_id_the_venue_would_not_take_sends_nothing(
        self, venue: RecordedVenue, exchange: CcxtExchange, id: str
    ) -> None:
        with pytest.raises(OrderRejected, match="client order id"):
            place(exchange, client_order_id=id)
        assert venue.asked("/AddOrder") == []

    @pytest.mark.parametrize("look_up", [*BROKEN.values(), Answer('{"error":["EOrder:Unknown order"]}')])
    def test_an_order_that_was_taken_stays_taken_when_it_cant_be_looked_up(
        self, venue: RecordedVenue, exchange: CcxtExchange, look_up: Answer
    ) -> None:
        venue.result("/AddOrder", {"txid": ["OA"], "descr": {}})
        venue.says("/QueryOrders", look_up)
        order = place(exchange)
        assert (order.exchange_order_id, order.status, order.filled) == ("OA", "open", 0)
        assert (order.amount, order.price) == (Decimal("1.25"), Decimal("27500"))


class TestFinding:
    @pytest.fixture(autouse=True)
    def empty_lists(self, venue: RecordedVenue) -> None:
        venue.result("/OpenOrders", {"open": {}})
        venue.result("/ClosedOrders", {"closed": {}, "count": 0})
        venue.result("/TradesHistory", {"trades": {}, "count": 0})

    def test_nowhere_is_none(self, exchange: CcxtExchange) -> None:
        assert find(exchange) is None

    @pytest.mark.parametrize("lists", ["/OpenOrders", "/ClosedOrders", "/TradesHistory"])
    @pytest.mark.parametrize("broken", BROKEN)
    def test_a_list_that_cant_be_read_never_means_absent(
        self, venue: RecordedVenue, exchange: CcxtExchange, lists: str, broken: str
    ) -> None:
        if broken == "a result of another shape":
            venue.result(lists, {"elsewhere": {}})
        else:
            venue.says(lists, BROKEN[broken])
        with pytest.raises(ExchangeUnreachable):
            find(exchange)

    def test_every_page_is_read(self, venue: RecordedVenue, exchange: CcxtExchange) -> None:
        others = {f"O{number}": an_order(cl_ord_id=f"{number:032x}") for number in range(120)}
        orders = others | {"OURS": an_order()}

        def page(request: Request) -> Answer:
            offset = int(request.parameters["ofs"])
            part = dict(list(orders.items())[offset : offset + 50])
            return Answer(json.dumps({"error": [], "result": {"closed": part, "count": len(orders)}}))

        venue.says("/ClosedOrders", page)
        found = find(exchange)
        assert found is not None
        assert found.exchange_order_id == "OURS"
        assert [request.parameters["ofs"] for request in venue.asked("/ClosedOrders")] == ["0", "50", "100"]

    def test_another_order_that_nobody_can_read_is_passed_over(
        self, venue: RecordedVenue, exchange: CcxtExchange
    ) -> None:
        strange = an_order(cl_ord_id="other", status="no such status", vol=None)
        venue.result("/OpenOrders", {"open": {"OX": strange, "OURS": an_order(status="open", vol_exec="0")}})
        found = find(exchange)
        assert found is not None
        assert (found.exchange_order_id, found.status) == ("OURS", "open")

    def test_a_fill_leads_to_the_order_that_no_list_shows(
        self, venue: RecordedVenue, exchange: CcxtExchange
    ) -> None:
        fill = {"pair": "XXBTZUSD", "time": NOW.timestamp(), "type": "buy", "price": "27500", "vol": "1.25"}
        page = {"trades": {"T1": fill | {"ordertxid": "OURS"}}, "count": 1}
        venue.says(
            "/TradesHistory",
            Answer(json.dumps({"error": [], "result": page})),
            Answer('{"error":[],"result":{"trades":{},"count":1}}'),
        )
        venue.result("/QueryOrders", {"OURS": an_order()})
        found = find(exchange)
        assert found is not None
        assert found.exchange_order_id == "OURS"

    def test_the_orders_of_many_fills_are_asked_for_together(
        self, venue: RecordedVenue, exchange: CcxtExchange
    ) -> None:
        fill = {"pair": "XXBTZUSD", "time": NOW.timestamp(), "type": "buy", "price": "27500", "vol": "1.25"}
        fills = {f"T{number:02}": fill | {"ordertxid": f"O{number:02}"} for number in range(45)}
        venue.says(
            "/TradesHistory",
            Answer(json.dumps({"error": [], "result": {"trades": fills, "count": 45}})),
            Answer('{"error":[],"result":{"trades":{},"count":45}}'),
        )

        def asked(request: Request) -> Answer:
            txids = request.parameters["txid"].split(",")
            orders = {
                txid: an_order(cl_ord_id=CLIENT_ORDER_ID if txid == "O44" else "f" * 32) for txid in txids
            }
            return Answer(json.dumps({"error": [], "result": orders}))

        venue.says("/QueryOrders", asked)
        found = find(exchange)
        assert found is not None
        assert found.exchange_order_id == "O44"
        assert len(venue.asked("/QueryOrders")) == 3

    def test_the_id_is_known_again_with_hyphens(self, venue: RecordedVenue, exchange: CcxtExchange) -> None:
        hyphened = "da8e4ad5-9b78-481c-93e5-89746b0cf91f"
        venue.result("/OpenOrders", {"open": {"OURS": an_order(status="open", cl_ord_id=hyphened)}})
        assert find(exchange) is not None


class TestCancelling:
    def test_it_waits_for_the_final_state(self, venue: RecordedVenue, exchange: CcxtExchange) -> None:
        order = self.resting(venue, exchange)
        venue.result("/CancelOrder", {"count": 1, "pending": True})
        states = [an_order(status=status, vol_exec="0.25") for status in ("open", "open", "canceled")]
        venue.says(
            "/QueryOrders", *(Answer(json.dumps({"error": [], "result": {"OA": state}})) for state in states)
        )
        final = exchange.cancel(order)
        assert (final.status, final.filled) == ("cancelled", Decimal("0.25"))

    def test_it_does_not_wait_for_ever(self, venue: RecordedVenue, exchange: CcxtExchange) -> None:
        order = self.resting(venue, exchange)
        venue.result("/CancelOrder", {"count": 1, "pending": True})
        with pytest.raises(ExchangeUnreachable, match="still shows it open"):
            exchange.cancel(order)

    def test_what_is_done_already_is_reported_as_it_is(
        self, venue: RecordedVenue, exchange: CcxtExchange
    ) -> None:
        order = self.resting(venue, exchange)
        venue.error("/CancelOrder", "EOrder:Unknown order")
        venue.result("/QueryOrders", {"OA": an_order()})
        assert exchange.cancel(order).status == "closed"

    @staticmethod
    def resting(venue: RecordedVenue, exchange: CcxtExchange) -> ExchangeOrder:
        venue.result("/AddOrder", {"txid": ["OA"], "descr": {}})
        venue.result("/QueryOrders", {"OA": an_order(status="open", vol_exec="0", price="0")})
        return place(exchange)


def assert_says_no_secret(error: BaseException) -> None:
    shown: list[BaseException] = [error]
    while shown[-1].__cause__ is not None:
        shown.append(shown[-1].__cause__)
    assert error.__suppress_context__
    for each in shown:
        for secret in (KEY, SECRET, "API-Sign", "nonce="):
            assert secret not in str(each)
