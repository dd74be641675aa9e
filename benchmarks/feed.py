"""Frames per second from the socket to the bus and the store, beside ccxt.pro alone; and their lateness."""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure
from missiondesk.bus.postgres import PostgresBus
from missiondesk.bus.subscriber import Message, Subscriber
from missiondesk.exchanges.sandbox.playback.address import playback_urls
from missiondesk.feeds.feed import FeedThread
from missiondesk.feeds.open import Venues, open_feed
from missiondesk.feeds.sinks import PRICE_CHANNEL, to_bus, to_store
from missiondesk.market_names import market_of
from missiondesk.settings import Settings
from missiondesk.store.database import connect
from missiondesk.store.embedded import EmbeddedPostgres
from missiondesk.store.migrate import upgrade
from missiondesk.store.quotes import Quotes

WIRE = Path(__file__).parents[2] / "shared" / "data" / "wire"
MARKETS = {"okx": "BTC/USDT", "bitmex": "BTC/USD:BTC"}
WARM_SECONDS, MEASURED_SECONDS, PACED_SECONDS, ROUNDS = 3.0, 10.0, 12.0, 3
FIRST_FRAMES = 200
PACE = 5.0
"""How many times faster than recorded the frames come when their lateness is measured."""


@dataclass(frozen=True)
class Rate:
    """Frames read a second, and the processor time of the reading process for each (µs)."""

    per_second: float
    cpu_us: float


def measure() -> dict[str, Figure]:
    """Takes about two minutes; nothing of it remains."""
    with _database() as database, _playback("0") as url:
        bare, ours = [], []
        for _ in range(ROUNDS):
            bare.append(_apart(_bare, url))
            ours.append(_apart(_ours, url, database))
    with _database() as database, _playback(str(PACE)) as url:
        late = _apart(_lateness, url, database)
    rate, peer = (statistics.median(each.per_second for each in rates) for rates in (ours, bare))
    cpu, peer_cpu = (statistics.median(each.cpu_us for each in rates) for rates in (ours, bare))
    how = f"books of OKX and BitMEX as recorded, without a pause, {ROUNDS} rounds; ccxt.pro until it stalls"
    where = f"server, Postgres and reader on the same {os.cpu_count()} cores"
    pace = f"recorded frames {PACE:g} times as fast, frame read to handler called in the same process"
    return {
        "feed_vs_bare_ccxt": Figure(
            100 * rate / peer, "%", "bare ccxt.pro, aim 70", f"frames/s to bus and store; {how}; {where}"
        ),
        "feed_frames_per_second": Figure(rate, "frames/s", f"bare ccxt.pro {peer:.0f}", f"{how}; {where}"),
        "feed_cpu_per_frame": Figure(cpu, "µs", f"bare ccxt.pro {peer_cpu:.0f}", f"{how}; {where}"),
        "feed_to_bus_p50": Figure(late[0], "ms", "none", pace),
        "feed_to_bus_p99": Figure(late[1], "ms", "none", pace),
    }


def _apart(measured: Callable[..., Any], *arguments: str) -> Any:
    """In a process of its own, so that each begins alike."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(measured, *arguments).result()


def _bare(url: str) -> Rate:
    return asyncio.run(_watch(url))


async def _watch(url: str) -> Rate:
    import ccxt.pro

    counted = _count_frames()
    clients = []
    tasks = []
    for exchange, symbol in MARKETS.items():
        options: dict[str, Any] = {"urls": {"api": playback_urls(url, exchange)}, "enableRateLimit": False}
        if exchange == "okx":
            options["options"] = {"fetchMarkets": {"types": ["spot", "future", "swap"]}}
        client = getattr(ccxt.pro, exchange)(options)
        clients.append(client)

        async def forever(client: Any = client, symbol: str = symbol) -> None:
            while True:
                await client.watch_order_book(symbol)

        tasks.append(asyncio.create_task(forever()))
    rate = await _until_it_stalls(counted)
    for task in tasks:
        task.cancel()
    for client in clients:
        await client.close()
    return rate


async def _until_it_stalls(counted: Callable[[], int]) -> Rate:
    """With aiohttp 3.14 ccxt.pro's own reading ends after some thousand frames; see `ccxt_stream`."""
    for _ in range(1000):
        if counted() >= FIRST_FRAMES:
            break
        await asyncio.sleep(0.01)
    begin, frames = _Moment(counted()), counted()
    began = moved_at = time.perf_counter()
    rate = None
    while time.perf_counter() - moved_at < 1 and time.perf_counter() - began < MEASURED_SECONDS:
        await asyncio.sleep(0.02)
        if counted() > frames:
            frames, moved_at = counted(), time.perf_counter()
            rate = begin.rate(frames)
    if rate is None:
        raise RuntimeError(f"expected more than {FIRST_FRAMES} frames, got no more")
    return rate


def _ours(url: str, database: str) -> Rate:
    import ccxt.pro  # noqa: F401 — before the clock runs

    counted = _count_frames()
    bus, quotes = PostgresBus(database), Quotes(connect(database))
    now = datetime.now(UTC)
    named = [market_of(f"{exchange}:{symbol}", now) for exchange, symbol in MARKETS.items()]
    feed = open_feed(named, Venues(Settings.load({}), url))
    with to_bus(bus) as published, to_store(quotes) as stored:
        feed.register(published)
        feed.register(stored)
        with FeedThread(feed) as running:
            running.wait(WARM_SECONDS)
            begin, published_before, stored_before = _Moment(counted()), published.written, stored.written
            running.wait(MEASURED_SECONDS)
            rate = begin.rate(counted())
    _expect_kept_up(published.written - published_before, stored.written - stored_before)
    bus.close()
    return rate


def _expect_kept_up(published: int, stored: int) -> None:
    if published == 0 or abs(published - stored) > 0.2 * published:
        raise RuntimeError(f"expected as many quotes published as stored, got {published} and {stored}")


def _lateness(url: str, database: str) -> tuple[float, float]:
    """p50 and p99 (ms) from a frame that was read to a subscriber's handler."""
    late: list[float] = []

    def handled(message: Message) -> None:
        read_at = datetime.fromisoformat(message["received_at"])
        late.append((datetime.now(UTC) - read_at).total_seconds() * 1000)

    bus = PostgresBus(database)
    now = datetime.now(UTC)
    named = [market_of(f"{exchange}:{symbol}", now) for exchange, symbol in MARKETS.items()]
    feed = open_feed(named, Venues(Settings.load({}), url))
    with Subscriber(bus) as subscriber:
        subscriber.register(PRICE_CHANNEL, handled)
        subscriber.wait_until_heard(PRICE_CHANNEL)
        with to_bus(bus) as published, to_store(Quotes(connect(database))) as stored:
            feed.register(published)
            feed.register(stored)
            with FeedThread(feed) as running:
                running.wait(PACED_SECONDS)
    bus.close()
    ordered: Sequence[float] = sorted(late)
    return statistics.median(ordered), ordered[int(len(ordered) * 0.99)]


class _Moment:
    def __init__(self, frames: int) -> None:
        self._frames, self._at, self._cpu = frames, time.perf_counter(), time.process_time()

    def rate(self, frames: int) -> Rate:
        """Since this moment."""
        read = frames - self._frames
        cpu = time.process_time() - self._cpu
        return Rate(read / (time.perf_counter() - self._at), cpu / read * 1e6)


def _count_frames() -> Callable[[], int]:
    """Counts what ccxt.pro's clients handle in this process, in the same way for both."""
    import ccxt.pro

    count = 0
    for exchange in MARKETS:
        kind = getattr(ccxt.pro, exchange)
        handle = kind.handle_message

        def counted(self: Any, client: Any, message: Any, handle: Callable[..., Any] = handle) -> Any:
            nonlocal count
            count += 1
            return handle(self, client, message)

        kind.handle_message = counted
    return lambda: count


@contextmanager
def _playback(speed: str) -> Iterator[str]:
    options = ["--play", str(WIRE), "--speed", speed, "--repeat"]
    command = [sys.executable, "-m", "missiondesk.exchanges.sandbox", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip().rpartition(" ")[2]
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def _database() -> Iterator[str]:
    home = Path(tempfile.mkdtemp(prefix="bench-"))
    server = EmbeddedPostgres(home)
    server.start()
    try:
        server.create_database("missiondesk")
        upgrade(server.url("missiondesk"))
        yield server.url("missiondesk")
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)
