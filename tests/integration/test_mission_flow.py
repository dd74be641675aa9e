"""The Mission flow against a real Prefect server: states, labels, artifacts, retries, timeout, cache."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    ArtifactFilterType,
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterId,
)
from prefect.client.schemas.objects import FlowRun, TaskRun
from prefect.settings import PREFECT_LOCAL_STORAGE_PATH, temporary_settings
from prefect.states import Crashed
from pydantic import Field
from sqlalchemy import text

from blocks.exchange_account import credentials_of
from flows.mission import free_lease, mission_flow, run_mission
from missiondesk.desk import Desk
from missiondesk.exchanges.sandbox.address import SANDBOX_KEY
from missiondesk.exchanges.sandbox.server import SandboxServer
from missiondesk.settings import Settings
from missiondesk.templates.context import Context
from missiondesk.templates.params import Params
from missiondesk.templates.registry import template
from missiondesk.templates.validation import check_task
from models.errors import ExchangeUnreachable, UnknownName
from models.result import Verdict
from tests.waiting import wait_for

pytestmark = pytest.mark.prefect

calls: list[str] = []


class FlakyParams(Params):
    broken_tries: int = Field(ge=0)


@template("flaky for tests", kind="data")
def flaky(context: Context, params: FlakyParams) -> Verdict:
    """Raises so many times, then passes."""
    calls.append(context.task)
    if len(calls) <= params.broken_tries:
        raise ExchangeUnreachable("the wire is cut")
    return Verdict(True, "FLAKY", "tries={tries}", {"tries": len(calls)})


class SlowParams(Params):
    pass


@template("slow for tests", kind="data")
def slow(context: Context, params: SlowParams) -> Verdict:
    """Never comes back by itself."""
    import threading

    threading.Event().wait(60)
    return Verdict(True, "SLOW")


@pytest.fixture
def desk(
    database_url: str, prefect_api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Desk]:
    """The desk that flows of this process use, on a database and a sandbox of this test."""
    calls.clear()
    with (
        SandboxServer() as sandbox,
        temporary_settings({PREFECT_LOCAL_STORAGE_PATH: str(tmp_path / "results")}),
    ):
        settings = Settings.load(
            {
                "MISSIONDESK_HOME": str(tmp_path),
                "MISSIONDESK_DATABASE_URL": database_url,
                "MISSIONDESK_EXCHANGE": "sandbox",
                "MISSIONDESK_EXCHANGE_URL": sandbox.url,
            }
        )
        desk = Desk(settings, credentials_of)
        monkeypatch.setattr("flows.mission.desk_of_this_process", lambda: desk)
        yield desk
        desk.engine.dispose()


@pytest.fixture
def name() -> str:
    """Flow names of one's own: the server is shared."""
    return f"flow-{uuid4().hex[:8]}"


@pytest.fixture
def client(prefect_api: str) -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as client:
        yield client


@pytest.fixture
def mission(desk: Desk, name: str) -> Callable[..., None]:
    def save(*steps: dict[str, Any], **fields: Any) -> None:
        ids = [
            desk.missions.save_task({"name": f"{name} {number}", **step}, check_task).id
            for number, step in enumerate(steps)
        ]
        desk.missions.save({"name": name, "task_ids": ids, **fields})

    return save


def runs_of(client: SyncPrefectClient, name: str) -> list[FlowRun]:
    return client.read_flow_runs(flow_filter=FlowFilter(name=FlowFilterName(any_=[name])))


def tasks_of(client: SyncPrefectClient, run: UUID, wanted: int) -> list[TaskRun]:
    """Task runs are recorded by events, a moment after the run."""
    of_run = FlowRunFilter(id=FlowRunFilterId(any_=[run]))

    def found() -> list[TaskRun]:
        tasks = client.read_task_runs(flow_run_filter=of_run)
        return tasks if len(tasks) == wanted and all(task.state.is_final() for task in tasks) else []

    return list(wait_for(found, f"{wanted} task runs"))


ALWAYS = {"template": "condition_is", "params": {"condition": "always_true"}}
NEVER = {"template": "condition_is", "params": {"condition": "always_false"}}


def test_a_tick_shows_under_the_missions_own_flow(
    desk: Desk, mission: Callable[..., None], client: SyncPrefectClient, name: str
) -> None:
    mission(ALWAYS, NEVER)
    outcome = run_mission(name)
    assert repr(outcome).startswith(f"{name}: Waiting: ")
    [run] = runs_of(client, name)
    assert (run.state_name, run.state.type) == ("Waiting", "COMPLETED")
    assert run.state.message == outcome.message
    assert name in run.name
    assert f"· {outcome.missionary_id} ·" in run.name
    assert f"{datetime.now(UTC):%Y-%m-%d}" in run.name
    assert set(run.tags) == {
        f"mission:{name}",
        f"missionary:{outcome.missionary_id}",
        "mode:paper",
        "index:1",
        "period:1min",
    }
    assert run.labels["missiondesk.index"] == 1
    assert run.labels["missiondesk.outcome"] == "Waiting"
    tasks = tasks_of(client, run.id, 2)
    assert {task.name for task in tasks} == {f"{name} 0", f"{name} 1"}
    assert {task.state_name for task in tasks} == {"Completed"}


def test_braces_in_a_tasks_name_are_just_characters(
    desk: Desk, mission: Callable[..., None], client: SyncPrefectClient, name: str
) -> None:
    mission({**ALWAYS, "name": f"{name} {{x}} {{"})
    assert run_mission(name).ending == "Finished"
    [run] = runs_of(client, name)
    assert [task.name for task in tasks_of(client, run.id, 1)] == [f"{name} {{x}} {{"]


def test_a_mission_runs_by_id_and_an_unknown_one_names_the_others(
    desk: Desk, mission: Callable[..., None], name: str
) -> None:
    mission(ALWAYS)
    assert run_mission(desk.missions.get(name).id).ending == "Finished"
    with pytest.raises(UnknownName, match=name):
        run_mission("nobody")


def test_artifacts_are_written_when_something_changed(
    desk: Desk, mission: Callable[..., None], client: SyncPrefectClient, name: str
) -> None:
    mission(NEVER)
    for _ in range(3):
        run_mission(name)
    runs = [run.id for run in runs_of(client, name)]
    found = client.read_artifacts(
        artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=runs))
    )
    assert sorted(each.type for each in found) == ["progress", "table"]
    assert {each.key for each in found} == {
        f"mission-{desk.missions.get(name).id}-{kind}" for kind in ("progress", "walk")
    }


def test_runs_that_walk_nothing_are_named_and_tagged_too(
    desk: Desk, mission: Callable[..., None], client: SyncPrefectClient, name: str
) -> None:
    mission(ALWAYS)
    held = desk.walks.begin(name, "another tick", 600).missionary
    assert held is not None
    assert run_mission(name).ending == "Skipped"
    desk.missions.disable(name)
    assert run_mission(name).ending == "Disabled"
    runs = runs_of(client, name)
    assert len(runs) == 2
    for run in runs:
        assert run.name.startswith(f"{name} · {held.id} · ")
        assert {f"mission:{name}", f"missionary:{held.id}", "index:0", "mode:paper"} <= set(run.tags)
        assert run.labels["missiondesk.outcome"] == run.state_name


def test_each_row_of_a_whole_walk_shows_its_own_answer(
    desk: Desk, mission: Callable[..., None], client: SyncPrefectClient, name: str
) -> None:
    flaky = {"template": "flaky for tests", "params": {"broken_tries": 9}}
    mission(ALWAYS, NEVER, flaky, {**ALWAYS, "can_run": "always_false"}, walk="whole")
    outcome = run_mission(name)
    assert outcome.message.startswith("1 of 4 passed")
    [run] = runs_of(client, name)
    found = client.read_artifacts(
        artifact_filter=ArtifactFilter(
            flow_run_id=ArtifactFilterFlowRunId(any_=[run.id]), type=ArtifactFilterType(any_=["table"])
        )
    )
    states = [row["state"] for row in json.loads(found[0].data)]
    passed, refused, broken, kept = states
    assert passed == "passed"
    assert refused.startswith("not passed: CONDITION_IS ")
    assert broken == "not passed: ERROR the wire is cut"
    assert kept.startswith("not passed: ")
    assert "always_false" in kept


def test_exceptions_are_retried_and_one_row_is_written(
    desk: Desk, mission: Callable[..., None], client: SyncPrefectClient, name: str
) -> None:
    mission({"template": "flaky for tests", "params": {"broken_tries": 2}, "retries": 2})
    assert run_mission(name).ending == "Finished"
    assert len(calls) == 3
    with desk.engine.connect() as connection:
        assert connection.execute(text("SELECT rule, msg FROM result_log")).all() == [("FLAKY", "tries=3")]


def test_what_is_left_after_the_retries_is_red(
    desk: Desk, mission: Callable[..., None], client: SyncPrefectClient, name: str
) -> None:
    mission({"template": "flaky for tests", "params": {"broken_tries": 9}, "retries": 1})
    outcome = run_mission(name)
    assert outcome.ending == "Failed"
    assert "the wire is cut" in outcome.message
    [run] = runs_of(client, name)
    assert run.state.type == "FAILED"
    with desk.engine.connect() as connection:
        assert connection.execute(text("SELECT rule FROM result_log")).all() == [("ERROR",)]


def test_a_wrong_row_is_not_retried(desk: Desk, mission: Callable[..., None], name: str) -> None:
    mission({"template": "flaky for tests", "params": {"broken_tries": 0}, "retries": 5})
    with desk.engine.connect() as connection:
        connection.execute(text("UPDATE task SET params = '{\"broken_tries\": -1}'"))
    outcome = run_mission(name)
    assert outcome.ending == "Failed"
    assert "broken_tries" in outcome.message
    assert calls == []


@pytest.mark.timeout(120, method="thread")  # the alarm clock is the task's here
def test_a_timeout_interrupts_a_task_that_hangs(desk: Desk, mission: Callable[..., None], name: str) -> None:
    mission({"template": "slow for tests", "params": {}, "timeout_seconds": 1})
    begun = datetime.now(UTC)
    assert run_mission(name).ending == "Failed"
    assert (datetime.now(UTC) - begun).total_seconds() < 30


def test_an_answer_is_cached_for_every_mission_that_asks_the_same(
    desk: Desk, mission: Callable[..., None], client: SyncPrefectClient, name: str
) -> None:
    mission({"template": "flaky for tests", "params": {"broken_tries": 0}, "cache_seconds": 60}, repeat=True)
    first, second = run_mission(name), run_mission(name)
    assert first.ending == second.ending == "Finished"
    assert len(calls) == 1
    states = {task.state_name for run in runs_of(client, name) for task in tasks_of(client, run.id, 1)}
    assert states == {"Completed", "Cached"}


def test_a_paper_trade_is_filled_on_the_exchanges_prices(
    desk: Desk, mission: Callable[..., None], name: str
) -> None:
    mission({"template": "market_buy", "params": {"symbol": "BTC/USD", "amount": "0.01"}})
    outcome = run_mission(name)
    assert outcome.ending == "Finished", outcome
    with desk.engine.connect() as connection:
        [order] = connection.execute(text("SELECT status, filled, mode FROM trade_order")).all()
    assert (order.status, float(order.filled), order.mode) == ("filled", 0.01, "paper")


def test_a_crashed_runs_lease_is_freed_by_its_hook(
    desk: Desk, mission: Callable[..., None], name: str
) -> None:
    mission(ALWAYS)
    run = FlowRun(id=uuid4(), flow_id=uuid4())
    desk.walks.begin(name, str(run.id), 600)
    free_lease(mission_flow, run, Crashed())
    assert run_mission(name).ending == "Finished"


@pytest.mark.parametrize(
    ("secret", "expected"), [("", "MISSIONDESK_LIVE_API_SECRET"), ("d3Jvbmc=", "does not accept the keys")]
)
def test_wrong_keys_are_red_and_clear(
    desk: Desk,
    mission: Callable[..., None],
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    secret: str,
    expected: str,
) -> None:
    monkeypatch.setenv("MISSIONDESK_LIVE_API_KEY", SANDBOX_KEY)
    monkeypatch.setenv("MISSIONDESK_LIVE_API_SECRET", secret)
    limits = {"max_order_notional": 100_000, "max_daily_loss": 100_000}
    desk.accounts.save({"name": "live", "credentials": "environment", **limits})
    desk.accounts.arm("live")
    buy = {"template": "market_buy", "params": {"symbol": "BTC/USD", "amount": "0.01"}}
    mission(buy, account="live", mode="live")
    outcome = run_mission(name)
    assert outcome.ending == "Failed"
    assert expected in outcome.message
    assert not secret or secret not in outcome.message


def test_a_tick_whose_mission_is_not_valid_is_red_and_told(
    desk: Desk, mission: Callable[..., None], name: str
) -> None:
    mission({"template": "condition_is", "params": {"condition": "always_true", "valid": True}})
    with desk.engine.connect() as connection:
        connection.execute(text("UPDATE mission SET timezone = 'Moon/Crater'"))
    assert mission_flow(name, return_state=True).is_failed()
    with desk.engine.connect() as connection:
        told = connection.execute(text("SELECT kind, account, subject FROM notification")).all()
    assert told == [("tick failed", "paper", f"{name}: tick failed")]
