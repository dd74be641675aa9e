"""The sandbox's websocket speaks Kraken's, and tells of the market that its REST tells of."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import ccxt.pro
import httpx
import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

from missiondesk.exchanges.sandbox.address import PUBLIC_SOCKET, ccxt_urls
from missiondesk.exchanges.sandbox.kraken_channels import book_checksum
from missiondesk.exchanges.sandbox.server import SandboxServer
from missiondesk.feeds.board import Place
from missiondesk.feeds.feed import FeedThread
from missiondesk.feeds.open import Venues, open_feed
from missiondesk.feeds.timing import Timing
from missiondesk.market_names import market_of
from missiondesk.settings import Settings
from models.quote import Quote
from tests.contract.exchange_contract import ManualClock
from tests.waiting import PATIENCE_SECONDS, wait_for

SYMBOL = "BTC/USD"

Levels = dict[str, dict[float, float]]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def sandbox(clock: ManualClock) -> Iterator[SandboxServer]:
    with SandboxServer(clock=clock) as server:
        yield server


@asynccontextmanager
async def connected(sandbox: SandboxServer) -> AsyncIterator[ClientWebSocketResponse]:
    async with ClientSession() as session, session.ws_connect(f"{sandbox.url}{PUBLIC_SOCKET}") as socket:
        assert (await heard(socket))["channel"] == "status"
        yield socket


async def heard(socket: ClientWebSocketResponse) -> dict[str, Any]:
    message = await asyncio.wait_for(socket.receive(), PATIENCE_SECONDS)
    assert message.type == WSMsgType.TEXT, f"expected a frame, got {message}"
    frame: dict[str, Any] = json.loads(message.data)
    return frame


async def next_of(socket: ClientWebSocketResponse, channel: str) -> dict[str, Any]:
    while (frame := await heard(socket)).get("channel") != channel:
        pass
    return frame


async def asked(socket: ClientWebSocketResponse, **params: Any) -> dict[str, Any]:
    await socket.send_json({"method": "subscribe", "params": params, "req_id": 7})
    while (frame := await heard(socket)).get("method") != "subscribe":
        pass
    return frame


def public(sandbox: SandboxServer, endpoint: str, **params: str | int) -> Any:
    answer = httpx.get(f"{sandbox.url}/0/public/{endpoint}", params=params).raise_for_status().json()
    assert answer["error"] == []
    return next(iter(answer["result"].values()))


def apply(book: Levels, frame: Mapping[str, Any]) -> None:
    for side in ("bids", "asks"):
        for level in frame["data"][0][side]:
            if level["qty"] == 0:
                del book[side][level["price"]]
            else:
                book[side][level["price"]] = level["qty"]


def test_the_book_channel_keeps_the_book_of_rest(sandbox: SandboxServer, clock: ManualClock) -> None:
    async def check() -> None:
        async with connected(sandbox) as socket:
            accepted = await asked(socket, channel="book", symbol=[SYMBOL], depth=25)
            assert accepted["success"] and accepted["req_id"] == 7
            book: Levels = {"bids": {}, "asks": {}}
            for kind in ("snapshot", "update", "update", "update"):
                frame = await next_of(socket, "book")
                assert frame["type"] == kind
                apply(book, frame)
                rest = public(sandbox, "Depth", pair=SYMBOL, count=25)
                for side in ("bids", "asks"):
                    assert book[side] == {float(row[0]): float(row[1]) for row in rest[side]}
                assert frame["data"][0]["checksum"] == book_checksum(book, 1, 8)
                clock.advance(5)

    asyncio.run(check())


def test_checksums_are_those_of_the_real_venue(shared_data: Path) -> None:
    decimals, checked = {"BTC/USD": (1, 8), "ETH/BTC": (6, 8)}, 0
    books: dict[str, Levels] = {symbol: {"bids": {}, "asks": {}} for symbol in decimals}
    for line in (shared_data / "wire" / "kraken" / "ws" / "v2_book.jsonl").read_text().splitlines():
        frame = json.loads(json.loads(line)["raw"])
        entry = frame["data"][0]
        apply(books[entry["symbol"]], frame)
        assert entry["checksum"] == book_checksum(books[entry["symbol"]], *decimals[entry["symbol"]])
        checked += 1
    assert checked == 3


def test_ticker_trades_and_candles_are_those_of_rest(sandbox: SandboxServer, clock: ManualClock) -> None:
    async def check() -> None:
        async with connected(sandbox) as socket:
            for channel in ("ticker", "trade", "ohlc"):
                assert (await asked(socket, channel=channel, symbol=[SYMBOL]))["success"]
            first = {channel: await next_of(socket, channel) for channel in ("ticker", "trade", "ohlc")}
            assert {frame["type"] for frame in first.values()} == {"snapshot"}
            clock.advance(15)
            ticker = (await next_of(socket, "ticker"))["data"][0]
            rest = public(sandbox, "Ticker", pair=SYMBOL)
            assert (ticker["bid"], ticker["ask"]) == (float(rest["b"][0]), float(rest["a"][0]))
            assert (ticker["last"], ticker["high"]) == (float(rest["c"][0]), float(rest["h"][1]))
            trades = (await next_of(socket, "trade"))["data"]
            assert [trade["price"] for trade in trades] == [
                float(row[0]) for row in public(sandbox, "Trades", pair=SYMBOL, count=3)
            ]
            assert trades[0]["trade_id"] > first["trade"]["data"][-1]["trade_id"]
            candle = (await next_of(socket, "ohlc"))["data"][-1]
            newest = public(sandbox, "OHLC", pair=SYMBOL, interval=1)[-1]
            assert [candle[name] for name in ("open", "high", "low", "close", "volume")] == [
                float(newest[place]) for place in (1, 2, 3, 4, 6)
            ]

    asyncio.run(check())


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"channel": "book", "symbol": ["XBT/USD"]}, "Currency pair not supported XBT/USD"),
        ({"channel": "book", "symbol": [SYMBOL], "depth": 11}, "Subscription depth not supported"),
        ({"channel": "ohlc", "symbol": [SYMBOL], "interval": 2}, "Subscription ohlc interval not supported"),
        ({"channel": "gossip", "symbol": [SYMBOL]}, "Subscription name invalid: gossip"),
        ({"channel": "book"}, "Malformed request"),
    ],
)
def test_what_is_not_offered_is_refused_in_words(
    sandbox: SandboxServer, params: dict[str, Any], said: str
) -> None:
    async def check() -> None:
        async with connected(sandbox) as socket:
            refused = await asked(socket, **params)
            assert (refused["success"], refused["error"], refused["req_id"]) == (False, said, 7)

    asyncio.run(check())


def test_a_second_subscription_is_refused_and_one_that_was_ended_is_not(sandbox: SandboxServer) -> None:
    async def check() -> None:
        async with connected(sandbox) as socket:
            params = {"channel": "ticker", "symbol": [SYMBOL]}
            assert (await asked(socket, **params))["success"]
            assert (await asked(socket, **params))["error"] == "Already subscribed"
            await socket.send_json({"method": "unsubscribe", "params": params})
            assert (await asked(socket, **params))["success"]
            await socket.send_json({"method": "ping", "req_id": 9})
            while (frame := await heard(socket)).get("method") != "pong":
                pass
            assert frame["req_id"] == 9
            while (await heard(socket)).get("channel") != "heartbeat":
                pass

    asyncio.run(check())


def test_ccxt_pro_reads_every_channel(sandbox: SandboxServer) -> None:
    async def check() -> None:
        client = ccxt.pro.kraken({"enableRateLimit": False, **ccxt_urls(sandbox.url)})
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                book = await client.watch_order_book(SYMBOL)
                ticker = await client.watch_ticker(SYMBOL)
                trades = await client.watch_trades(SYMBOL)
                candles = await client.watch_ohlcv(SYMBOL, "1m")
        finally:
            await client.close()
        assert (ticker["bid"], ticker["ask"]) == (book["bids"][0][0], book["asks"][0][0])
        assert trades[-1]["price"] == ticker["last"] == candles[-1][4]

    asyncio.run(check())


def test_a_feed_of_the_sandbox_streams_and_outlives_a_cut(sandbox: SandboxServer, clock: ManualClock) -> None:
    place, quotes = Place("sandbox", SYMBOL), list[Quote]()
    settings = Settings.load({"MISSIONDESK_EXCHANGE_URL": sandbox.url})
    timing = Timing(first_delay=0.02, longest_delay=0.2, poll=3600)
    feed = open_feed([market_of(f"sandbox:{SYMBOL}", datetime.now(UTC))], Venues(settings), timing)
    feed.register(quotes.append)
    with FeedThread(feed):
        wait_for(lambda: len(quotes) == 1, "the first price")
        change = {"pair": SYMBOL, "price": "54321"}
        httpx.post(f"{sandbox.url}/sandbox/markets", json=change).raise_for_status()
        wait_for(lambda: len(quotes) == 2, "the new price")
        assert quotes[-1].bid is not None and quotes[-1].ask is not None
        assert quotes[-1].bid < Decimal(54321) < quotes[-1].ask
        assert httpx.delete(f"{sandbox.url}/sandbox/sockets").json() == {"dropped": 1}
        wait_for(lambda: len(quotes) == 3, "the price over a new connection")
        assert feed.board.problem(place, datetime.now(UTC)) is None
    assert feed.venues["sandbox"].connections == 2
