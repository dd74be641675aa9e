"""`missiondesk components …`, the weekly purge, and the log that does not grow for ever."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from console.hub.commands import components
from missiondesk.components.purge import purge_executions
from tests.hub_desk import HubDesk


@pytest.fixture
def desk(database_url: str, short_home, monkeypatch) -> Iterator[HubDesk]:
    monkeypatch.setenv("MISSIONDESK_DATABASE_URL", database_url)
    monkeypatch.setenv("MISSIONDESK_HOME", str(short_home))
    made = HubDesk(database_url)
    yield made
    made.engine.dispose()


def said(*arguments: str, given: str | None = None) -> str:
    result = CliRunner().invoke(components, list(arguments), input=given, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_who_is_there_and_who_is_forgotten(desk: HubDesk):
    assert said("online") == "no component is online\n"
    desk.registry.register("old")
    desk.registry.register("young")
    desk.rows(
        "UPDATE component SET registered_at = now() - interval '40 days' WHERE name = 'old' RETURNING id"
    )
    listed = said("online", "--all")
    assert "old" in listed and "young" in listed and "offline" in listed
    assert said("expire", "--days", "30") == "1 component(s) forgotten: old\n"
    assert desk.rows("SELECT name FROM component") == [("young",)]


def test_a_component_with_open_commands_is_not_forgotten(desk: HubDesk):
    number = desk.registry.register("busy").id
    desk.commands.give(number, desk.work())
    desk.rows("UPDATE component SET registered_at = now() - interval '40 days' RETURNING id")
    assert desk.registry.expire(timedelta(days=30)) == []


def test_a_workflow_is_added_from_a_file(desk: HubDesk, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    desk.registry.register("mean")
    workflow = {
        "name": "hourly",
        "execute_cron_list": ["0 * * * *"],
        "execute_modules": [{"name": "mean"}],
    }
    assert "workflow hourly is Mission" in said("add", "-", given=json.dumps(workflow))
    assert desk.rows("SELECT name, walk FROM mission") == [("hourly", "whole")]


def test_executions_older_than_a_week_are_purged(desk: HubDesk):
    number = desk.registry.register("m").id
    old, young, waiting = (desk.commands.give(number, desk.work()) for _ in range(3))
    change = (
        "UPDATE component_command SET status = 'failed', finished_at = now() - :age "
        "WHERE id = :id RETURNING id"
    )
    desk.rows(change, id=old, age=timedelta(days=8))
    desk.rows(change, id=young, age=timedelta(days=6))
    [(mission,)] = desk.rows(
        "INSERT INTO mission (name, task_ids) VALUES ('m', ARRAY[1]::bigint[]) RETURNING id"
    )
    desk.rows("UPDATE missionary SET ended_at = now() RETURNING id")
    [(walk,)] = desk.rows(
        "INSERT INTO missionary (mission_id, task_ids, period) VALUES (:mission, ARRAY[1]::bigint[], '1min')"
        " RETURNING id",
        mission=mission,
    )
    of_a_walk, of_another = (
        desk.commands.give(number, desk.work(place=f"{each}/task/0/")) for each in (walk, walk + 1)
    )
    for given in (of_a_walk, of_another):
        desk.rows(change, id=given, age=timedelta(days=8))
    assert purge_executions(desk.engine) == 2
    left = {row[0] for row in desk.rows("SELECT id FROM component_command")}
    assert left == {young, waiting, of_a_walk}


WRITER = """
import logging, sys
from pathlib import Path
from console.hub.logs import start_logging
from missiondesk.settings import Settings
settings = Settings.load({"MISSIONDESK_LOG_BYTES": "100000", "MISSIONDESK_LOG_FILES": "2"})
start_logging(settings, Path(sys.argv[1]))
for number in range(10_000):
    logging.getLogger("hub").info("line %s", number)
    logging.getLogger("hub").debug("never shown")
"""


def test_the_log_is_renewed_before_it_grows_too_large(tmp_path: Path):
    file = tmp_path / "logs" / "hub.log"
    subprocess.run([sys.executable, "-c", WRITER, str(file)], check=True, capture_output=True)
    files = sorted(path.name for path in file.parent.iterdir())
    assert files == ["hub.log", "hub.log.1", "hub.log.2"]
    assert all(path.stat().st_size <= 100_000 for path in file.parent.iterdir())
    assert file.read_text().splitlines()[-1][24:] == " INFO hub: line 9999"
    assert "never shown" not in file.read_text()
