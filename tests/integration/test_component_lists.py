"""The lists of the API: components, workflows and executions, newest first, page by page."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from console.api.app import create_app
from missiondesk.components.workflows import NewWorkflow, Workflows
from missiondesk.settings import Settings
from tests.hub_desk import HubDesk
from tests.integration.served_api import served


@pytest.fixture
def desk(database_url: str) -> Iterator[HubDesk]:
    made = HubDesk(database_url)
    yield made
    made.engine.dispose()


@pytest.fixture
def api(database_url: str) -> Iterator[httpx.Client]:
    with served(create_app(Settings.load({"MISSIONDESK_DATABASE_URL": database_url}))) as client:
        yield client


def pages(api: httpx.Client, what: str, **asked: Any) -> list[dict[str, Any]]:
    """All rows of a list, asked for page by page."""
    rows: list[dict[str, Any]] = []
    while True:
        answered = api.get(f"/api/{what}", params=asked)
        assert answered.status_code == 200, answered.text
        page = answered.json()
        rows += page[what]
        if page["before"] is None:
            return rows
        assert len(page[what]) == asked["size"]
        asked["before"] = page["before"]


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_components(api: httpx.Client, desk: HubDesk, size: int) -> None:
    for name in ("first", "second", "third"):
        desk.registry.register(name, priority=5)
    found = pages(api, "components", size=size)
    assert [row["name"] for row in found] == ["third", "second", "first"]
    assert found[0]["hash"] == desk.registry.find("third").hash
    assert (found[0]["online"], found[0]["session_id"], found[0]["priority"]) == (False, None, 5)


@pytest.mark.parametrize("size", [1, 100])
def test_workflows(api: httpx.Client, desk: HubDesk, size: int) -> None:
    desk.registry.register("mean")
    for name in ("hourly", "again"):
        given = {"name": name, "execute_cron_list": ["0 * * * *"], "execute_modules": [{"name": "mean"}]}
        Workflows(desk.engine).create(NewWorkflow.parse(given), datetime.now(UTC))
    found = pages(api, "workflows", size=size)
    assert [row["name"] for row in found] == ["again", "hourly"]
    assert found[0]["modules"][0]["name"] == "mean"
    assert found[0]["crontab"] == ["0 * * * *"]


def test_executions_and_what_narrows_them_down(api: httpx.Client, desk: HubDesk) -> None:
    mean, sums = (desk.registry.register(name) for name in ("mean", "sums"))
    given = [
        desk.commands.give(each.id, desk.work(number, workflow_id=f"w{number % 2}"))
        for number, each in enumerate([mean, sums, mean])
    ]
    desk.commands.send_message(mean.id, "no execution")
    change = (
        "UPDATE component_command SET status = 'failed', error = 'no numbers', finished_at = now() "
        "WHERE id = :id RETURNING id"
    )
    desk.rows(change, id=given[0])
    for size in (1, 2, 100):
        assert [row["execution_id"] for row in pages(api, "executions", size=size)] == [
            str(each) for each in reversed(given)
        ]
    of_mean = pages(api, "executions", size=1, component="mean")
    assert [row["execution_id"] for row in of_mean] == [str(given[2]), str(given[0])]
    assert of_mean == pages(api, "executions", size=5, component=mean.hash)
    assert of_mean == pages(api, "executions", size=5, component=mean.id)
    assert len(pages(api, "executions", size=5, workflow_id="w1")) == 1
    (failed,) = pages(api, "executions", size=5, status="failed")
    assert (failed["component"], failed["workflow_id"], failed["error"]) == ("mean", "w0", "no numbers")
    assert failed["finished_at"] is not None and failed["sent_at"] is None


def test_what_does_not_exist_is_said(api: httpx.Client, desk: HubDesk) -> None:
    desk.registry.register("mean")
    unknown = api.get("/api/executions", params={"component": "nobody"})
    assert unknown.status_code == 404
    assert unknown.json()["existing"] == ["mean"]
    for wrong in ({"status": "lost"}, {"size": 0}, {"before": 0}):
        assert api.get("/api/executions", params=wrong).status_code == 422
    assert pages(api, "executions", size=5, workflow_id="'; DROP TABLE component; --") == []
