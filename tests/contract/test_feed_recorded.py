"""Recorded frames, through a websocket and ccxt.pro, give the prices that the frames themselves give."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner

from missiondesk.exchanges.ccxt_stream import Stream
from missiondesk.exchanges.sandbox.command import main
from missiondesk.exchanges.sandbox.playback.address import playback_urls
from missiondesk.exchanges.sandbox.playback.books import BestPair, Book
from missiondesk.exchanges.sandbox.playback.server import PlaybackServer, RecordedVenue
from missiondesk.exchanges.venues import venue_of
from models.errors import InputRefused, UnknownName
from models.quote import Quote
from tests.waiting import PATIENCE_SECONDS

MARKETS = {
    "okx": {"BTC/USDT": "books:BTC-USDT"},
    "bitmex": {"BTC/USD:BTC": "orderBookL2:XBTUSD"},
    "krakenfutures": {
        "XRP/USD:XRP": "book:PI_XRPUSD",
        "LTC/USD:LTC": "book:PI_LTCUSD",
        "BTC/USD:BTC-210730": "book:FI_XBTUSD_210730",
    },
    "kraken": {"ETH/BTC": "book:ETH/BTC", "BTC/USD": "book:BTC/USD"},
}

Prices = tuple[Decimal | None, Decimal | None, Decimal | None, Decimal | None]


@pytest.fixture(scope="module")
def server(shared_data: Path) -> Iterator[PlaybackServer]:
    with PlaybackServer({name: shared_data / "wire" / name for name in MARKETS}, speed=None) as started:
        yield started


def applied(venue: RecordedVenue, topic: str) -> list[Prices]:
    """Every change of the best prices, by the frames alone."""
    book, changes = Book(), list[BestPair]()
    for frame in venue.tapes[topic]:
        venue.dialect.apply(book, frame.content)
        if not changes or changes[-1] != book.best():
            changes.append(book.best())
    return [prices(best) for best in changes]


def prices(best: BestPair) -> Prices:
    numbers = [None if side is None else Decimal(repr(side[place])) for side in best for place in (0, 1)]
    return (numbers[0], numbers[1], numbers[2], numbers[3])


async def streamed(url: str, exchange: str, counts: dict[str, int]) -> list[Quote]:
    """Until that many quotes of each symbol have come, and a moment longer for those too many."""
    heard: list[Quote] = []
    urls = playback_urls(url, exchange)
    stream = Stream(exchange, venue_of(exchange), heard.append, url_overrides=urls)
    try:
        await stream.open(list(counts))
        deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        while any(len(of(heard, symbol)) < count for symbol, count in counts.items()):
            assert asyncio.get_running_loop().time() < deadline, f"expected {counts}, got {len(heard)}"
            await stream.wait_until_lost(0.05)
        await stream.wait_until_lost(0.3)
    finally:
        await stream.close()
    return heard


def of(heard: Sequence[Quote], symbol: str) -> list[Prices]:
    return [
        (quote.bid, quote.bid_amount, quote.ask, quote.ask_amount)
        for quote in heard
        if quote.symbol == symbol
    ]


@pytest.mark.parametrize("exchange", MARKETS)
def test_no_change_is_lost_and_none_is_invented(server: PlaybackServer, exchange: str) -> None:
    expected = {
        symbol: applied(server.venues[exchange], topic) for symbol, topic in MARKETS[exchange].items()
    }
    counts = {symbol: len(changes) for symbol, changes in expected.items()}
    heard = asyncio.run(streamed(server.url, exchange, counts))
    assert {symbol: of(heard, symbol) for symbol in expected} == expected
    assert {quote.exchange for quote in heard} == {exchange}


def test_every_recorded_book_is_compared_and_has_something_to_tell(server: PlaybackServer) -> None:
    for exchange, topics in MARKETS.items():
        assert set(server.venues[exchange].tapes) == set(topics.values())
    assert len(applied(server.venues["okx"], "books:BTC-USDT")) > 50
    assert len(applied(server.venues["bitmex"], "orderBookL2:XBTUSD")) > 200


def test_a_fast_venue_is_read_for_ever(shared_data: Path) -> None:
    folders = {"okx": shared_data / "wire" / "okx"}
    with PlaybackServer(folders, speed=None, repeat=True) as fast:
        # ccxt's own reading stops for good after about 2,400 frames, which are 1,750 quotes.
        heard = asyncio.run(streamed(fast.url, "okx", {"BTC/USDT": 6000}))
    assert len(heard) >= 6000


def test_what_is_not_recorded_is_said(shared_data: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="existing: bitmex, kraken, krakenfutures, okx"):
        RecordedVenue("binance", shared_data / "wire" / "binance")
    with pytest.raises(InputRefused, match=r"expected books\.jsonl in"):
        RecordedVenue("okx", tmp_path)


def test_recordings_are_played_from_the_command_line(shared_data: Path) -> None:
    command = [sys.executable, "-m", "missiondesk.exchanges.sandbox", "--play", str(shared_data / "wire")]
    with subprocess.Popen([*command, "--speed", "0"], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline().split()
            assert said[:-2] == ["playing", "okx,", "bitmex,", "krakenfutures,", "kraken"]
            heard = asyncio.run(streamed(said[-1], "kraken", {"BTC/USD": 1}))
        finally:
            process.terminate()
    assert heard[0].symbol == "BTC/USD"
    assert process.returncode == 0


def test_a_folder_without_recordings_is_refused(tmp_path: Path) -> None:
    refused = CliRunner().invoke(main, ["--play", str(tmp_path)])
    assert refused.exit_code == 1
    assert "expected a folder okx or bitmex or krakenfutures or kraken in" in refused.output
