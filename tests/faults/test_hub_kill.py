"""Several server processes, one killed in the middle: every command ends once, and nothing is run twice.

Larger: MISSIONDESK_HUB_MODULES=300 MISSIONDESK_HUB_COMMANDS=3000.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack

from models.component import CommandStatus
from tests.hub_desk import HubDesk, hub_process
from tests.hub_modules import ManyModules, OldModule, new_module
from tests.waiting import wait_for

log = logging.getLogger(__name__)

MODULES = int(os.environ.get("MISSIONDESK_HUB_MODULES", "30"))
COMMANDS = int(os.environ.get("MISSIONDESK_HUB_COMMANDS", "300"))
PROCESSES = 3
TIMEOUT_SECONDS = 10.0
WORK_SECONDS = 0.05


def counts(desk: HubDesk) -> dict[str, int]:
    rows = desk.rows("SELECT status, count(*) FROM component_command GROUP BY status")
    return {row[0]: row[1] for row in rows}


async def until(condition: Callable[[], object], what: str) -> None:
    await asyncio.to_thread(wait_for, condition, what, 120)


def test_every_command_ends_once_through_a_kill(database_url, short_home):
    desk, worked = HubDesk(database_url), Counter[str]()
    with ExitStack() as stack:
        hubs = [stack.enter_context(hub_process(database_url, str(short_home))) for _ in range(PROCESSES)]
        asyncio.run(run_through_kill(desk, hubs, worked))
    ended = counts(desk)
    unknown = ended.get(CommandStatus.UNKNOWN, 0)
    log.info("%d commands to %d modules: %s", COMMANDS, MODULES, ended)
    assert set(ended) <= {CommandStatus.SUCCEEDED, CommandStatus.UNKNOWN}
    assert sum(ended.values()) == COMMANDS
    assert max(worked.values()) == 1
    # At most the one command that an old module of the killed process was at.
    assert unknown <= MODULES / 2 / PROCESSES + 1
    succeeded = {
        str(row[0]) for row in desk.rows("SELECT id FROM component_command WHERE status = 'succeeded'")
    }
    assert succeeded <= set(worked)
    wrong = desk.rows(
        "SELECT count(*) FROM component_command WHERE status = 'succeeded' AND message <> args::text"
    )
    assert wrong == [(0,)], "a report was taken for another command's"
    told = desk.rows("SELECT count(*) FROM notification WHERE kind = 'command unknown'")
    assert told == [(unknown,)]
    desk.engine.dispose()


async def run_through_kill(desk: HubDesk, hubs, worked: Counter[str]) -> None:
    numbers = []
    modules = []
    for index in range(MODULES):
        if index % 2:
            modules.append(new_module(f"new {index}", worked, WORK_SECONDS))
            numbers.append(desk.registry.register(f"new {index}").id)
        else:
            registered = desk.registry.register(f"old {index}")
            modules.append(OldModule(registered.name, registered.hash, worked, WORK_SECONDS))
            numbers.append(registered.id)
    async with ManyModules(modules, [hub.address for hub, _ in hubs]):
        await until(lambda: len(desk.registry.online()) == MODULES, "all modules online")
        for start in range(0, COMMANDS, 300):
            given = [
                (numbers[index % MODULES], desk.work(index, timeout_seconds=TIMEOUT_SECONDS, wait_seconds=60))
                for index in range(start, min(start + 300, COMMANDS))
            ]
            await asyncio.to_thread(desk.commands.give_all, given)
        await until(lambda: counts(desk).get("succeeded", 0) > COMMANDS / 4, "a quarter done")
        killed = hubs[0][1]
        os.kill(killed.pid, signal.SIGKILL)
        await until(lambda: not set(counts(desk)) & {"waiting", "sent"}, "all ended")
        await until(lambda: len(desk.registry.online()) == MODULES, "all modules online elsewhere")
