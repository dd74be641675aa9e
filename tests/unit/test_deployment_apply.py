"""Each change stands for itself: what Prefect does not take keeps nothing else from it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from prefect.client.orchestration import PrefectClient
from sqlalchemy import create_engine

from console.verbs import sync as verb
from deployments import listener
from deployments.apply import Applier, NotMade
from deployments.plan import Create, Delete
from deployments.spec import DeploymentSpec, ScheduleSpec
from deployments.sync import Synced
from missiondesk.settings import Settings
from missiondesk.store.listen import Connected, Payload
from models.errors import DatabaseUnreachable


def spec(name: str, *, timezone: str = "UTC") -> DeploymentSpec:
    return DeploymentSpec(
        key=f"mission:{name}",
        flow_name=name,
        name="mission",
        entrypoint="flows.mission.mission_flow",
        parameters={},
        work_pool="desk",
        schedules=(ScheduleSpec("1week", "0 0 * * 1", timezone, False),),
    )


class Server(PrefectClient):
    """Takes everything but what concerns `refused`."""

    def __init__(self, refused: str, error: Exception) -> None:
        self.refused, self.error = refused, error
        self.created: list[str] = []

    async def create_flow_from_name(self, flow_name: str) -> UUID:
        if flow_name == self.refused:
            raise self.error
        self.created.append(flow_name)
        return uuid4()

    async def create_deployment(self, *given: Any, **named: Any) -> UUID:
        return uuid4()

    async def delete_deployment(self, deployment_id: UUID) -> None:
        raise self.error


def answered(status: int) -> httpx.HTTPStatusError:
    return httpx.HTTPStatusError(
        "refused", request=httpx.Request("POST", "http://x"), response=httpx.Response(status)
    )


def test_one_change_that_fails_keeps_no_other_from_being_made() -> None:
    server, recorded = Server("bad", answered(422)), []
    applier = Applier(
        server,
        recorded=lambda made, _: recorded.append(made.flow_name),
        removed=lambda _: None,
        parameter_schema=lambda _: {},
    )
    changes = [Delete("gone", uuid4()), Create(spec("bad")), Create(spec("odd", timezone="Mars"))]
    changes += [Create(spec(f"good-{number}")) for number in range(6)]
    not_made = asyncio.run(applier.apply(changes))
    assert recorded == [f"good-{number}" for number in range(6)]
    assert [each.change for each in not_made] == changes[:3]
    said = str(Synced(tuple(changes), (), tuple(not_made)))
    assert "! could not be deployed: bad: HTTPStatusError: refused" in said
    assert "! could not be deployed: odd: ValidationError" in said


@pytest.mark.parametrize(
    ("error", "passing"),
    [
        (answered(422), False),
        (answered(503), True),
        (httpx.ConnectError("away"), True),
        (DatabaseUnreachable("away"), True),
        (ValueError("never"), False),
    ],
)
def test_only_what_passes_by_itself_is_worth_another_try(error: Exception, passing: bool) -> None:
    assert NotMade(Create(spec("m")), error).passing is passing


@pytest.mark.parametrize(("status", "tries"), [(503, 2), (422, 1)])
def test_the_listener_tries_again_what_may_pass(
    monkeypatch: pytest.MonkeyPatch, status: int, tries: int
) -> None:
    asked: list[Any] = []
    not_made = NotMade(Create(spec("m")), answered(status))

    def sync(engine: Any, *, mission_ids: Any) -> Synced:
        asked.append(mission_ids)
        return Synced((not_made.change,), (), (not_made,) if len(asked) == 1 else ())

    monkeypatch.setattr(listener, "sync", sync)
    stop = threading.Event()

    def listen(*_: Any, **__: Any) -> Iterator[Connected | Payload | None]:
        yield Connected()
        yield from [None] * 3  # three times nothing came, within the listener's patience

    monkeypatch.setattr(listener, "listen", listen)
    listener.ScheduleListener(create_engine("postgresql+psycopg2://"), "").run(stop)
    assert asked == [None] * tries


@pytest.mark.parametrize("kept_back", [True, False])
def test_the_command_says_whether_all_is_deployed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kept_back: bool
) -> None:
    not_made = (NotMade(Create(spec("odd")), answered(422)),) if kept_back else ()
    monkeypatch.setattr(verb, "refuse_without_prefect", lambda settings: None)
    monkeypatch.setattr(verb, "open_database", lambda settings: None)
    monkeypatch.setattr("deployments.sync.sync", lambda engine, plan_only: Synced((), (), not_made))
    assert verb.sync_deployments(Settings.load({}), plan_only=False) is not kept_back
    assert ("could not be deployed: odd" in capsys.readouterr().out) is kept_back
