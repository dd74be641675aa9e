"""Workflows made over the old protocol: Missions in the tables, schedules in Prefect, results."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from threading import Thread
from typing import Any
from uuid import uuid4

import httpx
import pytest
from click.testing import CliRunner
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import FlowFilter, FlowFilterName
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from sqlalchemy import Connection

from console.hub.commands import components
from console.hub.scheduler import PrefectAway, Scheduler
from deployments.missions import DEPLOYMENT_NAME
from flows.mission import run_mission
from missiondesk.components import workflows as workflows_module
from missiondesk.components.workflows import NewWorkflow, WorkflowExists, Workflows
from missiondesk.desk import Desk
from missiondesk.settings import Settings
from missiondesk.store.walks import Walks
from missiondesk.templates.run import try_template
from missiondesk.templates.validation import check_task
from missiondesk.ticks.tick import Run, run_tick
from models.component import CommandStatus
from models.errors import InputRefused, UnknownName
from tests.hub_desk import Hub, HubDesk, answer, frame, threaded_hub
from tests.waiting import wait_for

NOW = datetime(2027, 3, 10, tzinfo=UTC)


@pytest.fixture
def desk(database_url: str) -> Iterator[HubDesk]:
    made = HubDesk(database_url)
    yield made
    made.engine.dispose()


@pytest.fixture
def settings(database_url: str, short_home) -> Settings:
    return Settings.load({"MISSIONDESK_DATABASE_URL": database_url, "MISSIONDESK_HOME": str(short_home)})


@pytest.fixture
def hub(settings: Settings) -> Iterator[Hub]:
    with threaded_hub(settings) as running:
        yield running


@pytest.fixture
def pool(prefect_api: str) -> None:
    async def make() -> None:
        async with get_client() as client:
            with suppress(ObjectAlreadyExists):
                await client.create_work_pool(WorkPoolCreate(name="desk", type="process"))

    asyncio.run(make())


def tick(settings: Settings, name: str):
    desk = Desk(settings, lambda account: None)
    return run_tick(
        desk,
        name,
        Run(str(uuid4()), datetime.now(UTC), ad_hoc=True),
        lambda mission_task, context: try_template(context, mission_task),
    )


def own_jobs(hub: Hub, workflow: str) -> list[dict[str, Any]]:
    jobs = hub.http.get("/scheduler/jobs", timeout=60).json()["result"]
    return [job for job in jobs if job["workflow"] and job["workflow"]["name"] == workflow]


@pytest.mark.prefect
def test_a_workflow_is_created_scheduled_listed_and_started(
    pool, hub: Hub, desk: HubDesk, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MISSIONDESK_DATABASE_URL", desk.url)
    name = f"daily {uuid4().hex[:8]}"
    known = hub.register("mean")
    created = hub.http.post(
        "/workflow/create",
        json={
            "name": name,
            "description": "the mean, daily",
            "enable": True,
            "execute_cron_list": ["0 0 * * 1", "0 12 * * *"],
            "execute_shift_time": -30,
            "execute_shift_unit": "s",
            "execute_modules": [{"module_hash": known, "args": {"x": 1}}, {"name": "mean", "args": [2]}],
        },
        timeout=60,
    )
    assert created.status_code == 200, created.text
    result = created.json()["result"]
    assert set(result) == {"id", "workflow_id", "name"} and result["name"] == name
    jobs = own_jobs(hub, name)
    assert {job["workflow"]["workflow_id"] for job in jobs} == {result["workflow_id"]}
    assert all(datetime.fromisoformat(job["next_run_time"]) > datetime.now(UTC) for job in jobs)
    assert {job["trigger"] for job in jobs} == {
        "cron[59 11 * * 1-6 30] UTC",
        "cron[59 11,23 * * 0 30] UTC",
    }
    assert set(jobs[0]) == {
        "job_id", "name", "func", "next_run_time", "trigger", "max_instances", "misfire_grace_time",
        "workflow",
    }  # fmt: skip
    desk.rows("DELETE FROM deployment RETURNING key")
    reloaded = hub.http.post("/scheduler/reload", timeout=60).json()["result"]
    assert set(reloaded) == {"removed_count", "current_count", "enabled_workflows", "message"}
    assert reloaded["enabled_workflows"] == 1
    listed = CliRunner().invoke(components, ["jobs"], catch_exceptions=False).output
    assert sum(name in line for line in listed.splitlines()) == 2

    with get_client(sync_client=True) as client:
        client.delete_deployment(client.read_deployment_by_name(f"{name}/{DEPLOYMENT_NAME}").id)
    assert own_jobs(hub, name) == []
    hub.http.post("/scheduler/reload", timeout=60)
    assert {job["trigger"] for job in own_jobs(hub, name)} == {job["trigger"] for job in jobs}
    started = hub.http.post(f"/workflow/{result['workflow_id']}/execute", timeout=60).json()["result"]
    assert started == {
        "workflow_id": result["workflow_id"],
        "workflow_name": name,
        "message": "工作流执行已启动",
    }
    (listed,) = hub.http.get("/workflow/list").json()["result"]
    assert listed["workflow_id"] == result["workflow_id"]
    assert hub.http.post("/workflow/nowhere/execute").json()["code"] == "3003"


@pytest.mark.prefect
def test_executing_what_can_not_run_says_why(pool, hub: Hub, desk: HubDesk):
    desk.registry.register("m")
    names = [f"{word} {uuid4().hex[:8]}" for word in ("off", "bad")]
    for name, enable in zip(names, (False, True), strict=True):
        Workflows(desk.engine).create(new(name, "m", workflow_id=name[:3], enable=enable), NOW)
    desk.rows("""UPDATE mission SET crontab = '"61 * * * *"' WHERE name LIKE 'bad%' RETURNING id""")
    for workflow_id, said in (("off", "is not enabled"), ("bad", "no deployment")):
        answered = hub.http.post(f"/workflow/{workflow_id}/execute", timeout=60)
        assert (answered.status_code, answered.json()["code"]) == (400, "3001"), answered.text
        assert said in answered.json()["message"]


def test_only_a_server_that_is_away_is_worth_another_try():
    request = httpx.Request("GET", "http://prefect")
    refusal, trouble = (
        httpx.HTTPStatusError("no", request=request, response=httpx.Response(status, request=request))
        for status in (422, 502)
    )

    def raising(error: Exception) -> None:
        def call() -> None:
            raise error

        Scheduler._reach(call)

    for error in (trouble, httpx.ConnectError("refused"), RuntimeError("Failed to reach API")):
        with pytest.raises(PrefectAway):
            raising(error)
    for error in (refusal, ObjectNotFound(None)):
        with pytest.raises(type(error)):
            raising(error)


def new(name: str, *modules: str, **given) -> NewWorkflow:
    return NewWorkflow.parse(
        {
            "name": name,
            "execute_cron_list": ["0 * * * *"],
            "execute_modules": [{"name": module, "args": module} for module in modules],
            **given,
        }
    )


def test_a_run_asks_each_module_and_a_failure_stops_nothing(hub: Hub, desk: HubDesk, settings: Settings):
    hashes = [hub.register(name) for name in ("first", "second")]
    made = Workflows(desk.engine).create(new("both", "first", "second"), NOW)
    with hub.websocket(f"hash={hashes[0]}") as first, hub.websocket(f"hash={hashes[1]}") as second:
        wait_for(lambda: len(hub.online()) == 2, "both modules online")
        outcomes = []
        running = Thread(target=lambda: outcomes.append(tick(settings, "both")))
        running.start()
        told = frame(first)
        assert told["meta"]["workflow_id"] == made.workflow_id
        assert told["meta"]["workflow_name"] == "both"
        answer(first, told, "failed", error="no numbers")
        answer(second, frame(second), message="fine")
        running.join(30)
    (outcome,) = outcomes
    assert outcome.ending == "Finished" and outcome.message == "1 of 2 passed"
    rows = desk.rows("SELECT passed, rule, msg FROM result_log ORDER BY id")
    assert rows == [
        (False, "COMPONENT_FAILED", f"{hashes[0]} failed: no numbers"),
        (True, "COMPONENT_SUCCEEDED", f"{hashes[1]} succeeded: fine"),
    ]


def test_a_workflow_may_stop_where_a_module_fails(hub: Hub, desk: HubDesk, settings: Settings):
    known = hub.register("first")
    hub.register("never asked")
    Workflows(desk.engine).create(new("both", "first", "never asked", stop_on_fail=True), NOW)
    with hub.websocket(f"hash={known}") as first:
        wait_for(lambda: hub.online() == ["first"], "the module to be online")
        answering = Thread(target=lambda: answer(first, frame(first), "failed"))
        answering.start()
        outcome = tick(settings, "both")
        answering.join(30)
    assert outcome.ending == "Finished"
    assert desk.rows("SELECT status FROM component_command") == [("failed",)]


@pytest.mark.prefect
def test_an_execution_is_rows_and_a_prefect_run(
    prefect_api: str, hub: Hub, desk: HubDesk, settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    """A module that requires data, a workflow, its run in Prefect, and the result in all three places."""
    used = Desk(settings, lambda account: None)
    monkeypatch.setattr("flows.mission.desk_of_this_process", lambda: used)
    (settings.home / "data").mkdir()
    (settings.home / "data" / "numbers.csv").write_text(f"time,x\n{datetime.now(UTC).date()},5\n")
    requirement = {"table_kind": "csv", "table_name": "numbers", "time_unit": "D"}
    known = hub.register("sums", input_data=json.dumps([requirement, requirement]))
    name = f"sum-{uuid4().hex[:8]}"
    Workflows(desk.engine).create(new(name, "sums"), NOW)
    with hub.websocket(f"hash={known}") as module:
        wait_for(lambda: hub.online() == ["sums"], "the module to be online")
        answering = Thread(target=lambda: told.append(frame(module)) or answer(module, told[0], message="5"))
        told: list[dict] = []
        answering.start()
        outcome = run_mission(name)
        answering.join(20)
    assert outcome.message == "1 of 1 passed"
    ((first, second),) = [told[0]["args"]["data"]]
    assert first == second
    assert first["rows"] == [{"time": str(datetime.now(UTC).date()), "x": "5"}]
    assert desk.rows("SELECT status, message FROM component_command") == [("succeeded", "5")]
    assert desk.rows("SELECT passed FROM result_log") == [(True,)]
    with get_client(sync_client=True) as client:
        (run,) = client.read_flow_runs(flow_filter=FlowFilter(name=FlowFilterName(any_=[name])))
    assert run.state is not None and run.state.is_completed()
    used.engine.dispose()


def test_a_command_of_a_place_is_given_once(desk: HubDesk):
    number = desk.registry.register("once").id
    work = desk.work(place="1/task/0/", wait_seconds=60)
    assert desk.commands.give_once(number, work) == desk.commands.give_once(number, work)
    desk.rows("UPDATE component_command SET status = 'succeeded' RETURNING id")
    again = desk.commands.give_once(number, work)
    assert desk.commands.outcome(again).status is CommandStatus.SUCCEEDED
    desk.rows("UPDATE component_command SET status = 'failed' RETURNING id")
    assert desk.commands.outcome(desk.commands.give_once(number, work)).status is CommandStatus.WAITING


@pytest.mark.parametrize("doubt", ["timeout", "unknown"])
def test_a_command_in_doubt_is_not_given_again_unless_it_is_repeatable(desk: HubDesk, doubt: str):
    number = desk.registry.register("once").id
    first = desk.commands.give_once(number, desk.work(place="1/task/0/"))
    desk.rows("UPDATE component_command SET status = :doubt RETURNING id", doubt=doubt)
    assert desk.commands.give_once(number, desk.work(place="1/task/0/")) == first
    assert desk.commands.give_once(number, desk.work(place="2/task/0/")) != first, "another walk"
    again = desk.commands.give_once(number, desk.work(place="1/task/0/", repeatable=True))
    assert again != first
    assert desk.commands.outcome(again).status is CommandStatus.WAITING


def test_a_walk_stays_at_a_command_whose_connection_was_lost(hub: Hub, desk: HubDesk, settings: Settings):
    """Its module got it and went away; it may have done its work, so the next ticks don't ask it again."""
    missions = Desk(settings, lambda account: None).missions
    known = hub.register("mortal")
    params = {"module": "mortal", "timeout_seconds": 2}
    step = missions.save_task({"name": "ask", "template": "component", "params": params}, check_task)
    missions.save({"name": "walk", "task_ids": [step.id]})
    outcomes = []
    with hub.websocket(f"hash={known}") as module:
        wait_for(lambda: hub.online() == ["mortal"], "the module to be online")
        first = Thread(target=lambda: outcomes.append(tick(settings, "walk")))
        first.start()
        assert frame(module)["type"] == "execute"
    first.join(30)
    with hub.websocket(f"hash={known}") as module:
        wait_for(lambda: hub.online() == ["mortal"], "the module to be back")
        for _ in range(2):
            outcomes.append(tick(settings, "walk"))
        assert desk.rows("SELECT status, sends FROM component_command") == [("unknown", 1)]
        said = desk.rows("SELECT rule, msg FROM result_log ORDER BY id")
        assert [rule for rule, _ in said] == ["COMPONENT_UNKNOWN"] * 3
        assert said[-1][1].endswith("it may have been done, so it is not asked again in this walk")

        Walks(desk.engine).restart("walk")
        answering = Thread(target=lambda: answer(module, frame(module)))
        answering.start()
        outcomes.append(tick(settings, "walk"))
        answering.join(30)
    assert [outcome.ending for outcome in outcomes[:3]] == [outcomes[0].ending] * 3
    ended = desk.rows("SELECT status FROM component_command ORDER BY sequence")
    assert ended == [("unknown",), ("succeeded",)]


def test_outputs_are_written_back_once_however_often_a_place_comes_by(
    hub: Hub, desk: HubDesk, settings: Settings
):
    """A component beside something that does not pass yet: each tick looks at both."""
    missions = Desk(settings, lambda account: None).missions
    known = hub.register("maker", output_data=json.dumps({"table_kind": "csv", "table_name": "made"}))
    members = [
        {"template": "component", "params": {"module": "maker"}},
        {"template": "condition_is", "params": {"condition": "never"}},
    ]
    both = missions.save_task(
        {"name": "both", "template": "all_of", "params": {"tasks": members}}, check_task
    )
    missions.save({"name": "walk", "task_ids": [both.id]})
    with hub.websocket(f"hash={known}") as module:
        wait_for(lambda: hub.online() == ["maker"], "the module to be online")
        rows = [{"time": "2027-01-01T00:00:00Z", "x": 5}]
        answering = Thread(target=lambda: answer(module, frame(module), outputs=rows))
        answering.start()
        for _ in range(3):
            tick(settings, "walk")
        answering.join(30)
    assert [passed for (passed,) in desk.rows("SELECT passed FROM result_log")] == [False] * 3
    written = (settings.home / "data" / "made.csv").read_text()
    assert written.splitlines() == ["time,x", "2027-01-01T00:00:00Z,5"]
    assert desk.rows("SELECT count(*) FROM component_command") == [(1,)]


def test_what_creating_refuses(hub: Hub, desk: HubDesk):
    hub.register("known")
    good = {"name": "a", "execute_cron_list": ["0 * * * *"], "execute_modules": [{"name": "known"}]}
    Workflows(desk.engine).create(NewWorkflow.parse(good), NOW)
    far_month = (datetime.now(UTC).month + 5) % 12 + 1
    often, then = "0 0 1 * *", [f"{n % 60} {n % 23} {n % 28 + 1} {far_month} *" for n in range(70)]
    too_many_in_a_month = [often, *then]
    refusals = [
        ("3002", {"name": ""}, "name"),
        ("3002", {"execute_modules": []}, "execute_modules"),
        ("3002", {"execute_cron_list": []}, "execute_cron_list"),
        ("3002", {"execute_cron_list": ["61 * * * *", "0 * * * *", "x"]}, "'61 * * * *'"),
        ("3002", {"execute_cron_list": too_many_in_a_month}, "60 cron lines"),
        ("3002", {"execute_shift_unit": "w"}, "execute_shift_unit"),
        ("3002", {"execute_modules": [{"name": "known", "args": "\0"}]}, "NUL"),
        ("3003", {"execute_modules": [{"name": "nobody"}]}, "nobody"),
        ("3004", {}, "'a'"),
    ]
    for code, change, said in refusals:
        fresh = {} if code == "3004" else {"name": "b"}
        answered = hub.http.post("/workflow/create", json={**good, **fresh, **change})
        assert (answered.status_code, answered.json()["code"]) == (400, code), answered.text
        assert said in answered.json()["message"]
    assert desk.rows("SELECT name FROM mission") == [("a",)]
    assert len(desk.rows("SELECT id FROM task")) == 1


def test_null_is_absent_and_a_number_is_an_id(hub: Hub):
    """As old clients write it."""
    hub.register("m")
    module = {"module_hash": None, "name": "m", "args": None, "timeout_seconds": None}
    optional = ("description", "enable", "execute_shift_time", "execute_shift_unit", "timezone")
    given = {"name": "w", "execute_cron_list": ["0 * * * *"], "execute_modules": [module]}
    answered = hub.http.post("/workflow/create", json={**dict.fromkeys(optional), **given, "workflow_id": 7})
    assert answered.status_code == 200, answered.text
    (listed,) = hub.http.get("/workflow/list").json()["result"]
    assert (listed["workflow_id"], listed["description"], listed["enable"]) == ("7", "", True)
    assert (listed["execute_shift_time"], listed["execute_shift_unit"]) == (0, "s")
    absent = {**given, "name": "v", "workflow_id": None, "execute_modules": None}
    answered = hub.http.post("/workflow/create", json=absent)
    assert answered.json()["code"] == "3002" and "execute_modules" in answered.json()["message"]


def test_a_workflow_is_found_by_its_own_id_before_its_missions(desk: HubDesk):
    """Ids that look like those of Missions, each given before the Mission of that id is made."""
    desk.registry.register("m")
    workflows = Workflows(desk.engine)
    first = workflows.create(new("first", "m"), NOW).mission_id
    numbers = [str(first + ahead) for ahead in (2, 3, 4, 1)]
    made = [workflows.create(new(f"w{number}", "m", workflow_id=number), NOW) for number in numbers]
    assert [each.workflow_id for each in made] == numbers
    assert [workflows.find(number).name for number in numbers] == [f"w{number}" for number in numbers]
    assert workflows.find(first).name == "first"


def test_a_mission_of_that_name_made_meanwhile_is_not_written_over(
    desk: HubDesk, monkeypatch: pytest.MonkeyPatch
):
    desk.registry.register("m")
    look = workflows_module._refuse_taken

    def look_just_before_another(connection: Connection, given: NewWorkflow) -> None:
        look(connection, given)
        desk.rows("INSERT INTO mission (name, description) VALUES ('taken', 'another') RETURNING id")

    monkeypatch.setattr(workflows_module, "_refuse_taken", look_just_before_another)
    with pytest.raises(WorkflowExists, match="taken"):
        Workflows(desk.engine).create(new("taken", "m"), NOW)
    assert desk.rows("SELECT name, description FROM mission") == [("taken", "another")]


def test_dated_crontabs_are_renewed_when_a_month_has_passed(desk: HubDesk):
    desk.registry.register("m")
    workflows = Workflows(desk.engine)
    made = workflows.create(new("monthly", "m", execute_cron_list=["0 0 1 * *"], execute_shift_time=-1), NOW)
    assert made.dated and made.crontab == ["59 23 31 3,5 * 59", "59 23 30 4 * 59"]
    assert workflows.refresh_dated(NOW) == []
    assert workflows.refresh_dated(NOW.replace(month=4)) == ["monthly"]
    assert workflows.find(made.workflow_id).crontab == ["59 23 30 4,6 * 59", "59 23 31 5 * 59"]


def test_a_crontab_that_cannot_be_worked_out_holds_up_no_other(desk: HubDesk):
    """Its lines, changed in the table meanwhile, take more lines than a Mission may have."""
    desk.registry.register("m")
    workflows = Workflows(desk.engine)
    for name in ("much", "monthly"):
        workflows.create(new(name, "m", execute_cron_list=["0 0 1 * *"], execute_shift_time=-1), NOW)
    lines = json.dumps([f"{n % 60} {n % 23} {n % 28 + 1} * *" for n in range(70)])
    desk.rows(
        "UPDATE workflow SET cron_lines = :lines WHERE mission_id = "
        "(SELECT id FROM mission WHERE name = 'much') RETURNING mission_id",
        lines=lines,
    )
    assert workflows.refresh_dated(NOW.replace(month=4)) == ["monthly"]
    much, _ = workflows.all()
    assert much.crontab == ["59 23 31 3,5 * 59", "59 23 30 4 * 59"] and much.dated


@pytest.mark.parametrize(
    "change", ["crontab = '[\"0 9 * * 1\"]'", "timezone = 'Europe/Berlin'", "crontab = NULL"]
)
def test_a_users_change_of_a_dated_schedule_stays(desk: HubDesk, change: str):
    desk.registry.register("m")
    workflows = Workflows(desk.engine)
    workflows.create(new("monthly", "m", execute_cron_list=["0 0 1 * *"], execute_shift_time=-1), NOW)
    changed = desk.rows(f"UPDATE mission SET {change} RETURNING crontab, timezone")  # noqa: S608
    for month in (4, 5):
        assert workflows.refresh_dated(NOW.replace(month=month)) == []
    assert desk.rows("SELECT crontab, timezone FROM mission") == changed
    assert not workflows.all()[0].dated


@pytest.mark.prefect
def test_a_workflow_whose_crontab_is_not_valid_is_shown_with_its_problem(
    pool, hub: Hub, desk: HubDesk, settings: Settings
):
    desk.registry.register("m")
    for name in ("bad", "good"):
        Workflows(desk.engine).create(new(name, "m", workflow_id=name), NOW)
    desk.rows("""UPDATE mission SET crontab = '"61 * * * *"' WHERE name = 'bad' RETURNING id""")
    with threaded_hub(settings) as another:  # it starts
        bad, good = another.http.get("/workflow/list").json()["result"]
    assert "61" in bad["problem"] and bad["crontab"] == []
    assert (good["problem"], good["crontab"]) == ("", ["0 * * * *"])
    assert hub.http.get("/scheduler/jobs", timeout=60).status_code == 200
    assert hub.http.post("/scheduler/reload", timeout=60).status_code == 200


def test_the_start_survives_whatever_the_renewal_meets(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    def breaks(self: Workflows, now: datetime) -> list[str]:
        raise RuntimeError("something new")

    monkeypatch.setattr(Workflows, "refresh_dated", breaks)
    with threaded_hub(settings) as hub:
        assert hub.online() == []


def test_unknown_names_name_what_exists(desk: HubDesk):
    with pytest.raises(UnknownName):
        Workflows(desk.engine).find("'; DROP TABLE mission; --")
    with pytest.raises(InputRefused, match="expected module_hash or name"):
        new("x", "")
