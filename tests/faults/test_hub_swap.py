"""Programs of one component that replace each other again and again while commands flow."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import ExitStack

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.hub_desk import HubDesk, hub_process
from tests.hub_modules import new_module
from tests.waiting import wait_for

COMMANDS = 150
SWAPS = 10


async def old_program(address: str, known: str, worked: Counter[str]) -> None:
    """One connection of the old protocol, until it is replaced."""
    async with connect(f"{address.replace('http', 'ws', 1)}/websocket?hash={known}") as websocket:
        try:
            async for text in websocket:
                if not str(text).startswith("{"):
                    continue
                told = json.loads(text)
                worked[told["meta"]["execution_id"]] += 1
                await asyncio.sleep(0.01)
                report = {"type": "result", "status": "success", "message": str(told["args"])}
                await websocket.send(json.dumps(report))
        except ConnectionClosed:
            return


async def swap_while_commands_flow(desk: HubDesk, addresses: list[str], worked: Counter[str]) -> None:
    old = desk.registry.register("old")
    new = desk.registry.register("new")
    for number in range(COMMANDS):
        desk.commands.give_all([(each.id, desk.work(number, timeout_seconds=20)) for each in (old, new)])
    programs = []
    for swap in range(SWAPS):
        address = addresses[swap % len(addresses)]
        programs.append(asyncio.create_task(old_program(address, old.hash, worked)))
        programs.append(asyncio.create_task(new_module("new", worked, 0.01).serve([address])))
        await asyncio.sleep(0.2)
    await asyncio.to_thread(wait_for, lambda: not still_open(desk), "all commands to end", 100)
    for program in programs:
        program.cancel()
    await asyncio.gather(*programs, return_exceptions=True)


def still_open(desk: HubDesk) -> int:
    query = "SELECT count(*) FROM component_command WHERE status IN ('waiting', 'sent')"
    return int(desk.rows(query)[0][0])


def test_none_is_run_twice_and_none_is_left(database_url, short_home):
    desk, worked = HubDesk(database_url), Counter[str]()
    with ExitStack() as stack:
        hubs = [stack.enter_context(hub_process(database_url, str(short_home)))[0] for _ in range(2)]
        asyncio.run(swap_while_commands_flow(desk, [hub.address for hub in hubs], worked))
    ended = desk.rows("SELECT status, count(*) FROM component_command GROUP BY status")
    assert ended == [("succeeded", 2 * COMMANDS)]
    assert set(worked.values()) == {1} and len(worked) == 2 * COMMANDS
    assert desk.rows("SELECT count(*) FROM component_command WHERE message <> args::text") == [(0,)]
    desk.engine.dispose()
