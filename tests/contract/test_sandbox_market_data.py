"""What ccxt, unmodified, gets from the sandbox's public endpoints."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ccxt
import httpx
import numpy as np
import pytest

from missiondesk.exchanges.sandbox.address import SANDBOX_KEY, SANDBOX_SECRET, ccxt_urls
from missiondesk.exchanges.sandbox.server import SandboxServer

NOW = datetime(2026, 11, 22, 3, 4, 5, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
MINUTE_MS = 60_000
SYMBOLS = {
    *("BTC/USD", "ETH/USD", "SOL/USD", "DOGE/USD", "BCH/USD", "LTC/USD", "XRP/USD", "LINK/USD"),
    *("BTC/USDT", "ETH/USDT", "ETH/BTC"),
}


def client(url: str) -> ccxt.kraken:
    keys = {"apiKey": SANDBOX_KEY, "secret": SANDBOX_SECRET}
    return ccxt.kraken({**keys, "enableRateLimit": False, **ccxt_urls(url)})


@pytest.fixture(scope="module")
def recorded(shared_data: Path) -> Iterator[SandboxServer]:
    source = shared_data / "ohlcv/binance/BTC-USDT_1m.csv.gz"
    with SandboxServer(source=source, clock=lambda: NOW) as server:
        yield server


@pytest.fixture(scope="module")
def kraken(recorded: SandboxServer) -> ccxt.kraken:
    return client(recorded.url)


def test_markets_have_krakens_sizes_and_fees(kraken: ccxt.kraken) -> None:
    markets = kraken.load_markets()
    assert set(markets) == SYMBOLS
    assert all(market["active"] for market in markets.values())
    bitcoin = markets["BTC/USD"]
    assert (bitcoin["id"], bitcoin["maker"], bitcoin["taker"]) == ("XXBTZUSD", 0.0025, 0.004)
    assert (bitcoin["precision"]["amount"], bitcoin["precision"]["price"]) == (1e-8, 0.1)
    assert (bitcoin["limits"]["amount"]["min"], bitcoin["limits"]["cost"]["min"]) == (0.00005, 0.5)
    assert bitcoin["limits"]["leverage"]["max"] == 10


def test_time_is_the_sandboxs_clock(kraken: ccxt.kraken) -> None:
    assert kraken.fetch_time() == NOW_MS
    assert kraken.fetch_status()["status"] == "ok"


def test_closed_candles_are_the_files_and_the_last_one_is_still_running(
    recorded: SandboxServer, kraken: ccxt.kraken
) -> None:
    rows = kraken.fetch_ohlcv("BTC/USDT", "1m")
    assert len(rows) == 720
    assert rows[-1][0] == NOW_MS // MINUTE_MS * MINUTE_MS
    recordings = recorded.recordings
    shift = recordings.shift("BTC/USDT", NOW).total_seconds()
    bars = recordings.file("BTC/USDT").bars
    place = int(np.searchsorted(bars.opened, rows[0][0] / 1000 - shift))
    for n, row in enumerate(rows[:-1], start=place):
        prices = [bars.open[n], bars.high[n], bars.low[n], bars.close[n], bars.volume[n]]
        assert row == [(bars.opened[n] + shift) * 1000, *prices]
    running, whole = rows[-1], place + 719
    assert running[1] == bars.open[whole]
    assert bars.low[whole] <= running[3] <= running[2] <= bars.high[whole]
    assert 0 < running[5] < bars.volume[whole]


@pytest.mark.parametrize(("timeframe", "minutes"), [("5m", 5), ("15m", 15), ("1h", 60), ("4h", 240)])
def test_higher_timeframes_are_made_of_the_minutes(
    recorded: SandboxServer, kraken: ccxt.kraken, timeframe: str, minutes: int
) -> None:
    rows = kraken.fetch_ohlcv("BTC/USDT", timeframe)
    size = minutes * MINUTE_MS
    last = NOW_MS // size * size // 1000
    bars = recorded.recordings.bars("BTC/USDT", minutes, last - 100 * minutes * 60, last)
    assert [row[0] for row in rows[-101:-1]] == (bars.opened * 1000).tolist()
    assert [row[4] for row in rows[-101:-1]] == bars.close.tolist()
    assert rows[-1][0] == last * 1000
    assert rows[-1][4] == kraken.fetch_ticker("BTC/USDT")["last"]


def test_an_older_since_silently_starts_later(kraken: ccxt.kraken) -> None:
    rows = kraken.fetch_ohlcv("BTC/USD", "1m", since=NOW_MS - 5000 * MINUTE_MS)
    assert (len(rows), rows[0][0]) == (720, NOW_MS // MINUTE_MS * MINUTE_MS - 719 * MINUTE_MS)
    since = NOW_MS // MINUTE_MS * MINUTE_MS - 10 * MINUTE_MS
    assert [row[0] for row in kraken.fetch_ohlcv("BTC/USD", "1m", since=since)] == [
        since + n * MINUTE_MS for n in range(11)
    ]


def test_last_names_the_newest_closed_candle(kraken: ccxt.kraken) -> None:
    answer = kraken.publicGetOHLC({"pair": "XBTUSD", "interval": 60})["result"]
    assert answer["last"] == answer["XXBTZUSD"][-2][0]


@pytest.mark.parametrize("name", ["XXBTZUSD", "XBTUSD", "XBT/USD", "BTC/USD"])
def test_a_pair_answers_to_each_of_its_names(kraken: ccxt.kraken, name: str) -> None:
    assert list(kraken.publicGetTicker({"pair": name})["result"]) == ["XXBTZUSD"]


def test_ticker_book_trades_and_candle_agree(kraken: ccxt.kraken) -> None:
    ticker = kraken.fetch_ticker("BTC/USDT")
    book = kraken.fetch_order_book("BTC/USDT", 50)
    trades = kraken.fetch_trades("BTC/USDT", limit=100)
    candle = kraken.fetch_ohlcv("BTC/USDT", "1m")[-1]
    assert len(book["bids"]) == len(book["asks"]) == 50
    assert (ticker["bid"], ticker["ask"]) == (book["bids"][0][0], book["asks"][0][0])
    assert ticker["bid"] < ticker["last"] < ticker["ask"]
    assert (ticker["ask"] - ticker["bid"]) / ticker["last"] < 0.0005
    assert [level[0] for level in book["bids"]] == sorted({level[0] for level in book["bids"]}, reverse=True)
    assert [level[0] for level in book["asks"]] == sorted({level[0] for level in book["asks"]})
    assert ticker["last"] == trades[-1]["price"] == candle[4]
    recent = [trade for trade in trades if trade["timestamp"] >= candle[0]]
    assert sum(trade["amount"] for trade in recent) == pytest.approx(candle[5])
    assert (recent[0]["price"], max(trade["price"] for trade in recent)) == (candle[1], candle[2])
    assert ticker["low"] <= candle[3] and candle[2] <= ticker["high"]


def test_trades_can_be_read_on_from_where_one_stopped(kraken: ccxt.kraken) -> None:
    since = (NOW_MS - 60 * MINUTE_MS) * 1_000_000
    read: list[Any] = []
    while True:
        answer = kraken.publicGetTrades({"pair": "XBTUSDT", "since": since, "count": 250})["result"]
        if not answer["XBTUSDT"]:
            break
        read += answer["XBTUSDT"]
        since = answer["last"]
    assert len(read) == 720
    assert [row[2] for row in read] == sorted({row[2] for row in read})
    assert read[-1] == kraken.publicGetTrades({"pair": "XBTUSDT"})["result"]["XBTUSDT"][-1]


def test_bad_questions_get_krakens_errors(recorded: SandboxServer, kraken: ccxt.kraken) -> None:
    def error(path: str) -> list[str]:
        answer = httpx.get(f"{recorded.url}/0/public/{path}")
        assert answer.status_code == 200
        return list(answer.json()["error"])

    assert error("OHLC?pair=NOPE&interval=1") == ["EQuery:Unknown asset pair"]
    assert error("OHLC?pair=XBTUSD&interval=7") == ["EGeneral:Invalid arguments"]
    assert error("OHLC") == ["EGeneral:Invalid arguments"]
    assert error("Depth?pair=XBTUSD&count=9999") == ["EGeneral:Invalid arguments:count"]
    assert error("Assets?asset=NOPE") == ["EQuery:Unknown asset"]
    assert error("Nothing") == ["EGeneral:Unknown method"]


def test_candles_finer_than_the_recording_are_refused_as_krakens_bad_arguments(shared_data: Path) -> None:
    source = shared_data / "ohlcv/kraken/DOT-USD_15m.csv.gz"
    with SandboxServer(source=source, clock=lambda: NOW) as server:
        kraken = client(server.url)
        assert len(kraken.fetch_ohlcv("DOT/USD", "15m")) > 700, "all but the recording's gaps"
        with pytest.raises(ccxt.BadRequest, match="EGeneral:Invalid arguments"):
            kraken.fetch_ohlcv("DOT/USD", "1m")
        assert len(kraken.fetch_ohlcv("BTC/USD", "1m")) == 720, "other pairs are generated"


def test_a_test_can_hold_back_candles_set_a_price_and_halt_a_pair() -> None:
    moments = [NOW]
    with SandboxServer(clock=lambda: moments[-1]) as server:
        kraken = client(server.url)

        def arrange(**change: object) -> None:
            httpx.post(f"{server.url}/sandbox/markets", json={"pair": "BTC/USD", **change}).raise_for_status()

        before = kraken.fetch_ohlcv("BTC/USD", "1m")
        arrange(frozen=True)
        moments.append(datetime(2026, 11, 22, 3, 6, 1, tzinfo=UTC))
        assert kraken.fetch_ohlcv("BTC/USD", "1m") == before
        assert kraken.fetch_ohlcv("ETH/USD", "1m")[-1][0] == before[-1][0] + 2 * MINUTE_MS
        assert kraken.fetch_trades("BTC/USD", limit=1)[0]["timestamp"] > before[-1][0] + 2 * MINUTE_MS - 1
        arrange(frozen=False, candles_delay=5)
        assert kraken.fetch_ohlcv("BTC/USD", "1m")[-1][0] == before[-1][0] + MINUTE_MS
        arrange(candles_delay=0, price="1234.5")
        assert kraken.fetch_ticker("BTC/USD")["last"] == 1234.5
        assert kraken.fetch_ohlcv("BTC/USD", "1m")[-1][4] == 1234.5
        arrange(price=None, halted=True)
        assert kraken.fetch_ticker("BTC/USD")["last"] > 10_000
        assert not kraken.load_markets(True)["BTC/USD"]["active"]
        httpx.delete(f"{server.url}/sandbox/markets").raise_for_status()
        assert kraken.load_markets(True)["BTC/USD"]["active"]
        wrong = httpx.post(f"{server.url}/sandbox/markets", json={"pair": "BTC/USD", "pice": 1})
        assert (wrong.status_code, "pice" in wrong.json()["error"]) == (400, True)


def test_the_control_endpoint_says_how_far_a_recording_was_moved(recorded: SandboxServer) -> None:
    told = httpx.get(f"{recorded.url}/sandbox/markets").json()["BTC/USDT"]["recording"]
    shift = recorded.recordings.shift("BTC/USDT", NOW)
    assert (told["file"], told["shift_seconds"]) == ("BTC-USDT_1m.csv.gz", shift.total_seconds())
