"""`missiondesk market` from its command line to a playback, the bus, the store, and back."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from queue import Queue
from typing import Any
from uuid import UUID, uuid5

import click
import pytest
from click.testing import CliRunner, Result

from console.verbs.market import market
from missiondesk.bus.postgres import PostgresBus
from missiondesk.bus.subscriber import Message, Subscriber
from missiondesk.exchanges.sandbox.playback.server import PlaybackServer
from missiondesk.settings import Settings
from missiondesk.store.database import connect
from tests.waiting import PATIENCE_SECONDS

NAMES = "okx:BTC/USDT,bitmex_future_btcusd"
ALL = ("--quotes", "361", "--seconds", "60")
"""As many as both recordings have."""


@pytest.fixture
def server(shared_data: Path) -> Iterator[PlaybackServer]:
    folders = {name: shared_data / "wire" / name for name in ("okx", "bitmex")}
    with PlaybackServer(folders, speed=None) as started:
        yield started


@pytest.fixture
def settings(database_url: str) -> Settings:
    return Settings.load({"MISSIONDESK_DATABASE_URL": database_url})


def said(settings: Settings | None, *arguments: str) -> Result:
    return CliRunner().invoke(market, arguments, obj=settings)


def test_prices_and_spreads_are_watched(server: PlaybackServer, settings: Settings) -> None:
    result = said(settings, f"-m{NAMES}", "--playback", server.url, *ALL, "watch")
    assert result.exit_code == 0, result.output
    assert " spread ask_diff -19" in result.output
    assert " trade " not in result.output
    ticker = said(settings, f"-m{NAMES}", "-sticker", "--playback", server.url, *ALL)
    assert ticker.exit_code == 0, ticker.output
    assert "okx:BTC/USDT bid 30236.1 (0.18050747) ask 30236.2 (0.001)" in ticker.output
    assert "bitmex:BTC/USD:BTC bid 32186.5 (1407700.0) ask 32187.0 (36000.0)" in ticker.output


def test_a_feed_is_published_stored_and_replayed_the_same_each_time(
    server: PlaybackServer, settings: Settings, database_url: str
) -> None:
    bus, heard = PostgresBus(database_url), Queue[Message]()
    with Subscriber(bus) as subscriber:
        subscriber.register("price", heard.put)
        assert subscriber.wait_until_heard("price")
        fed = said(settings, f"-m{NAMES}", "--playback", server.url, *ALL, "feed")
        assert fed.exit_code == 0, fed.output
        assert "361 quotes stored, 361 published" in fed.output
        symbols = {heard.get(timeout=PATIENCE_SECONDS)["symbol"] for _ in range(361)}
    bus.close()
    assert symbols == {"BTC/USDT", "BTC/USD:BTC"}
    arguments = [
        f"-m{NAMES}",
        "--open-above=1000",
        "--close-above=-3900",
        "--amount=0.5",
        "--fee=0.0001",
        "--fee=0.0002",
    ]
    runs = [said(settings, *arguments, "rexec") for _ in range(2)]
    assert [run.exit_code for run in runs] == [0, 0], runs[0].output
    assert runs[0].output == runs[1].output
    assert runs[0].output.splitlines() == computed_directly(database_url)
    assert runs[0].output.count(" trade closed") >= 3


def computed_directly(database_url: str) -> list[str]:
    """What is to be said of the stored quotes, by hand: a is the spot market, and all of it is filled."""
    a, b = ("okx", "BTC/USDT"), ("bitmex", "BTC/USD:BTC")
    fees, amount = {a: Decimal("0.0001"), b: Decimal("0.0002")}, Decimal("0.5")
    newest: dict[tuple[str, str], Any] = {}
    lines: list[str] = []
    spread, sold, opened, cash, sent = "", None, Decimal(0), Decimal(0), 0

    def order(side: str, market: tuple[str, str]) -> None:
        nonlocal cash, sent
        sent += 1
        price = newest[market].ask if side == "buy" else newest[market].bid
        signed = -price if side == "buy" else price
        cash += amount * (signed - price * fees[market])
        made = uuid5(UUID(int=0), f"strategy|0|{market[0]}:{market[1]}|{sent}|0").hex
        say(f"order {made} {market[0]} {side} 0.5 {market[1]} at market: filled, 0.5 filled at {price:f}")

    def say(text: str) -> None:
        lines.append(f"{quote.received_at:%Y-%m-%d %H:%M:%S.%f} {text}")

    with connect(database_url).connect() as connection:
        quotes = connection.exec_driver_sql("SELECT * FROM quote ORDER BY id").all()
    for quote in quotes:
        newest[quote.exchange, quote.symbol] = quote
        if len(newest) == 1:
            missing = b if a in newest else a
            if len(lines) == 0:
                say(f"skipped {missing[0]}:{missing[1]} has not been quoted yet")
            continue
        sell = {
            dear: newest[dear].bid * (1 - fees[dear]) - newest[cheap].ask * (1 + fees[cheap])
            for dear, cheap in ((a, b), (b, a))
        }
        told = (
            f"spread ask_diff {newest[a].ask - newest[b].ask:f} bid_diff {newest[a].bid - newest[b].bid:f} "
            f"sell_a {sell[a]:f} sell_b {sell[b]:f}"
        )
        if told != spread:
            say(told)
            spread = told
        if sold is None:
            dear = a if sell[a] > 1000 else b if sell[b] > 1000 else None
            if dear is None:
                continue
            sold, opened = dear, sell[dear]
            bought = b if dear == a else a
            say(f"trade open sell {':'.join(sold)} buy {':'.join(bought)}: spread {opened:f}")
        else:
            bought = sold
            back = b if sold == a else a
            if opened + sell[back] <= -3900:
                continue
            left = opened + sell[back]
            words = f"spread {sell[back]:f}, left {left:f}"
            say(f"trade close sell {':'.join(back)} buy {':'.join(bought)}: {words}")
            sold = None
        order("buy" if bought == a else "sell", a)
        order("buy" if bought == b else "sell", b)
        if sold is None:
            say(f"trade closed: earned {cash:f} so far")
    return lines


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["dance"], "'dance' is not one of 'watch', 'feed', 'exec', 'rexec'"),
        (["-mokex_future_btcusd_month"], "expected a market in one of the forms okex_future_{btc,eth}usd"),
        (["-m", "krakn:BTC/USD,kraken:BTC/USD"], "unknown exchange 'krakn'; existing: kraken"),
        (["-m", "kraken:BTC/USD"], "expected two markets for strategy diff, got 1"),
        (["-mkraken:BTC/USD,kraken:BTC/USD"], "expected different markets, got one twice"),
        (["-swalk"], "'walk' is not one of 'diff', 'ticker', 'hedge'"),
        (["--fee", "much", "rexec"], "expected a number, got 'much'"),
        (["--fee", "0", "rexec"], "expected --fee once for each of 2 markets, got 1"),
        (["--begin", "soon", "rexec"], "expected an instant such as 2026-01-31T12:00, got 'soon'"),
    ],
)
def test_what_is_not_understood_is_refused_with_what_is(
    settings: Settings, arguments: list[str], expected: str
) -> None:
    result = said(settings, *arguments)
    assert result.exit_code == 2
    assert expected in result.output


def test_a_replay_of_nothing_says_where_prices_come_from(settings: Settings) -> None:
    result = said(settings, f"-m{NAMES}", "rexec")
    assert result.exit_code == 0
    assert "nothing of okx:BTC/USDT and bitmex:BTC/USD:BTC is stored in this period" in result.output


def test_a_rolling_name_means_what_it_meant_when_it_was_recorded(settings: Settings) -> None:
    names = "-mokex_future_btcusd_thisweek,okex_future_btcusd_nextweek"
    result = said(settings, names, "--begin=2026-01-07", "rexec")
    assert "okx:BTC/USD:BTC-260109 and okx:BTC/USD:BTC-260116" in result.output


def test_a_closed_venue_names_another(settings: Settings) -> None:
    result = said(settings, "-sticker", "-mbitmex_future_btcusd")
    assert result.exit_code == 2
    assert "Kraken Futures" in result.output


def test_help_names_the_verbs() -> None:
    assert isinstance(market, click.Command)
    assert "[watch|feed|exec|rexec]" in said(None, "--help").output
