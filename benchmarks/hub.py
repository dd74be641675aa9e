"""Commands per second and round trips of the websocket hub, and what idle modules cost it in memory."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil
from sqlalchemy import Engine, text
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.figures import Figure
from missiondesk.components.commands import Commands
from missiondesk.components.registry import Registry
from missiondesk.store.database import connect as connect_database
from missiondesk.store.embedded import EmbeddedPostgres
from missiondesk.store.migrate import upgrade
from models.component import Work

MODULES, COMMANDS, IDLE_MODULES = 300, 6000, 2000
PACED_COMMANDS, PACED_PER_SECOND = 1000, 100
CONNECT_AT_ONCE = 50
PATIENCE_SECONDS = 120


@dataclass(frozen=True)
class Speed:
    """Commands a second when all are given at once; round trips (ms) of commands given at a steady pace."""

    per_second: float
    p50: float
    p99: float


def measure() -> dict[str, Figure]:
    """Takes about two minutes; nothing of it remains."""
    with _database() as url:
        one = asyncio.run(_speed(url, 1))
        three = asyncio.run(_speed(url, 3))
        megabytes = asyncio.run(_idle_memory(url))
    cores = os.cpu_count()
    how = f"{MODULES} modules in one program, {COMMANDS} commands at once, modules and database on the same"
    pace = f"given row to recorded outcome, {PACED_PER_SECOND} commands/s to {MODULES} modules"
    figures = {
        "hub_commands_per_second": Figure(
            one.per_second, "commands/s", "aim: 500", f"1 server process, {how} {cores} cores"
        ),
        "hub_commands_per_second_3_processes": Figure(
            three.per_second, "commands/s", "1 server process", f"3 server processes, {how} {cores} cores"
        ),
        "hub_idle_megabytes": Figure(
            megabytes,
            "MB",
            "aim: 300",
            f"resident memory of one server process with {IDLE_MODULES} modules connected",
        ),
    }
    for processes, speed in ((1, one), (3, three)):
        note = f"{processes} server process(es), {pace}, {cores} cores"
        figures[f"hub_round_trip_p50_{processes}"] = Figure(speed.p50, "ms", "none", note)
        figures[f"hub_round_trip_p99_{processes}"] = Figure(speed.p99, "ms", "none", note)
    return figures


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


@contextmanager
def _hubs(url: str, count: int) -> Iterator[list[tuple[str, psutil.Process]]]:
    """Address and process of each."""
    with ExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))
        environment = {**os.environ, "MISSIONDESK_DATABASE_URL": url, "MISSIONDESK_HOME": home}
        started = []
        for _ in range(count):
            process = subprocess.Popen(
                [sys.executable, "-m", "console.hub"], env=environment, stdout=subprocess.PIPE, text=True
            )
            stack.callback(process.wait, 30)
            stack.callback(process.terminate)
            assert process.stdout is not None
            stack.callback(process.stdout.close)
            started.append((process.stdout.readline().strip(), psutil.Process(process.pid)))
        yield started


@asynccontextmanager
async def _modules(engine: Engine, count: int, name: str, servers: Sequence[str]) -> AsyncIterator[list[int]]:
    """So many modules that answer at once; their ids."""
    registered = [Registry(engine).register(f"{name} {index}") for index in range(count)]
    entry = asyncio.Semaphore(CONNECT_AT_ONCE)
    async with AsyncExitStack() as stack:

        async def open_one(index: int) -> None:
            address = servers[index % len(servers)].replace("http", "ws", 1)
            async with entry:
                websocket = await stack.enter_async_context(
                    connect(f"{address}/websocket?hash={registered[index].hash}", compression=None)
                )
            answering.append(asyncio.create_task(_answer(websocket)))

        answering: list[asyncio.Task[None]] = []
        await asyncio.gather(*(open_one(index) for index in range(count)))
        await asyncio.to_thread(_wait_until, lambda: len(Registry(engine).online()) == count)
        yield [each.id for each in registered]
        for task in answering:
            task.cancel()


async def _answer(websocket: ClientConnection) -> None:
    async for told in websocket:
        if str(told).startswith("{"):
            meta = json.loads(told)["meta"]
            report = {"type": "result", "status": "success", "workflow_id": meta["workflow_id"]}
            await websocket.send(json.dumps(report))


async def _speed(url: str, processes: int) -> Speed:
    engine = connect_database(url)
    commands = Commands(engine, url)
    work = Work({"a": 1}, datetime.now(UTC), workflow_id="1", timeout_seconds=600, wait_seconds=600)
    with _hubs(url, processes) as hubs:
        await asyncio.to_thread(_wait_for, hubs)
        name = f"with {processes}"
        async with _modules(engine, MODULES, name, [address for address, _ in hubs]) as ids:
            given = [(ids[index % MODULES], work) for index in range(COMMANDS)]
            begun = time.perf_counter()
            await asyncio.to_thread(commands.give_all, given)
            await _all_ended(engine)
            took = time.perf_counter() - begun
            _forget(engine)
            for index in range(PACED_COMMANDS):
                await asyncio.to_thread(commands.give, ids[index % MODULES], work)
                await asyncio.sleep(1 / PACED_PER_SECOND)
            await _all_ended(engine)
            trips = _round_trips(engine)
            _forget(engine)
    engine.dispose()
    cuts = statistics.quantiles(trips, n=100)
    return Speed(COMMANDS / took, cuts[49], cuts[98])


async def _idle_memory(url: str) -> float:
    engine = connect_database(url)
    with _hubs(url, 1) as hubs:
        await asyncio.to_thread(_wait_for, hubs)
        async with _modules(engine, IDLE_MODULES, "idle", [hubs[0][0]]):
            await asyncio.sleep(5)
            resident: int = hubs[0][1].memory_info().rss
    engine.dispose()
    return resident / 1e6


def _wait_for(hubs: Sequence[tuple[str, psutil.Process]]) -> None:
    def answers(address: str) -> bool:
        try:
            return httpx.get(f"{address}/module/online", trust_env=False).is_success
        except httpx.TransportError:
            return False

    _wait_until(lambda: all(answers(address) for address, _ in hubs))


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {PATIENCE_SECONDS} s")
        time.sleep(0.1)


async def _all_ended(engine: Engine) -> None:
    query = "SELECT count(*) FROM component_command WHERE status IN ('waiting', 'sent')"
    await asyncio.to_thread(_wait_until, lambda: _scalar(engine, query) == 0)
    not_done = _scalar(engine, "SELECT count(*) FROM component_command WHERE status <> 'succeeded'")
    assert not_done == 0, f"{not_done} commands did not succeed"


def _round_trips(engine: Engine) -> list[float]:
    query = "SELECT extract(epoch FROM finished_at - created_at) * 1000 FROM component_command"
    with engine.connect() as connection:
        return [float(milliseconds) for milliseconds in connection.scalars(text(query))]


def _forget(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(text("TRUNCATE component_command"))


def _scalar(engine: Engine, query: str) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text(query)).scalar_one())


if __name__ == "__main__":
    from benchmarks.figures import record

    found = measure()
    for key, figure in found.items():
        print(f"{key}: {figure.value:.1f} {figure.unit} ({figure.note})")
    record(found)
