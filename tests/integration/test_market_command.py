"""`missiondesk market` from its command line to a playback, the bus, the store, and back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from queue import Queue

import click
import pytest
from click.testing import CliRunner, Result

from console.verbs.market import market
from missiondesk.bus.postgres import PostgresBus
from missiondesk.bus.subscriber import Message, Subscriber
from missiondesk.exchanges.sandbox.playback.server import PlaybackServer
from missiondesk.settings import Settings
from models.errors import VenueClosed

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
        symbols = {heard.get(timeout=10)["symbol"] for _ in range(361)}
    bus.close()
    assert symbols == {"BTC/USDT", "BTC/USD:BTC"}
    arguments = [
        f"-m{NAMES}",
        "--open-above",
        "100",
        "--close-above",
        "-3900",
        "--fee",
        "0.0001",
        "--fee",
        "0",
    ]
    runs = [said(settings, *arguments, "rexec") for _ in range(3)]
    assert [run.exit_code for run in runs] == [0, 0, 0], runs[0].output
    assert runs[0].output == runs[1].output == runs[2].output
    assert "trade open sell bitmex:BTC/USD:BTC buy okx:BTC/USDT" in runs[0].output


def test_a_strategy_is_executed_on_paper(server: PlaybackServer, settings: Settings) -> None:
    result = said(settings, f"-m{NAMES}", "--playback", server.url, *ALL, "--open-above=9", "exec")
    assert result.exit_code == 0, result.output
    assert "trade open sell bitmex:BTC/USD:BTC buy okx:BTC/USDT: amount 1" in result.output


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["dance"], "'dance' is not one of 'watch', 'feed', 'exec', 'rexec'"),
        (["-mokex_future_btcusd_month"], "expected a market in one of the forms okex_future_{btc,eth}usd"),
        (["-m", "krakn:BTC/USD,kraken:BTC/USD"], "unknown exchange 'krakn'; existing: kraken"),
        (["-m", "kraken:BTC/USD"], "expected two markets for strategy diff, got 1"),
        (["-swalk"], "'walk' is not one of 'diff', 'ticker'"),
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
    assert "`missiondesk market feed` stores it" in result.output


def test_a_closed_venue_names_another(settings: Settings) -> None:
    with pytest.raises(VenueClosed, match="Kraken Futures"):
        market.main(["-sticker", "-m", "bitmex_future_btcusd"], standalone_mode=False, obj=settings)


def test_help_names_the_verbs() -> None:
    assert isinstance(market, click.Command)
    assert "[watch|feed|exec|rexec]" in said(None, "--help").output
