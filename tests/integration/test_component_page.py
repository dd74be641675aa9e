"""docs/components.md: its ten lines run, its workflow is created, its requirement is valid."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from missiondesk.components.requirements import requirements_of
from missiondesk.components.worker import Component
from missiondesk.components.workflows import NewWorkflow, Workflows
from missiondesk.settings import Settings
from models.component import CommandStatus
from tests.hub_desk import HubDesk, threaded_hub
from tests.waiting import wait_for

PAGE = (Path(__file__).parents[2] / "docs/components.md").read_text()


def block(language: str, number: int = 0) -> str:
    return str(re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)[number])


@pytest.fixture
def desk(database_url: str) -> Iterator[HubDesk]:
    made = HubDesk(database_url)
    yield made
    made.engine.dispose()


def test_the_ten_lines_work(desk: HubDesk, short_home):
    lines = block("python")
    assert len([line for line in lines.splitlines() if line]) <= 10
    settings = Settings.load({"MISSIONDESK_DATABASE_URL": desk.url, "MISSIONDESK_HOME": str(short_home)})
    with threaded_hub(settings) as hub:
        made: dict[str, Component] = {}
        program = compile(lines.replace("http://127.0.0.1:4201", hub.address), "components.md", "exec")
        running = threading.Thread(target=exec, args=(program, made), daemon=True)
        running.start()
        wait_for(lambda: hub.online() == ["mean"], "the component to be online")
        outcome = desk.ended(desk.commands.give(desk.registry.find("mean").id, desk.work([1, 2, 6])))
        made["mean"].stop()
        running.join(20)
    assert (outcome.status, outcome.message) == (CommandStatus.SUCCEEDED, "3.0")


def test_the_workflow_is_one(desk: HubDesk):
    desk.registry.register("mean")
    given = json.loads(re.findall(r"-d '(.*?)'", block("sh"), re.DOTALL)[0])
    made = Workflows(desk.engine).create(NewWorkflow.parse(given), datetime(2027, 1, 1, tzinfo=UTC))
    assert made.crontab == ["59 23 * * 0 30"]


def test_the_requirement_is_valid():
    values: dict[str, object] = {}
    exec(block("python", 1), values)
    (requirement,) = requirements_of(values["requirement"])
    assert requirement.table_columns == ("open_time", "close")


def test_every_status_is_explained():
    for status in CommandStatus:
        assert f"`{status}`" in PAGE
