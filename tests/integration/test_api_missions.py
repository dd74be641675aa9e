"""Missions, Tasks and Conditions over HTTP: what comes back, what is refused and how, what is on record."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text

from console.api.app import create_app
from missiondesk.settings import Settings
from missiondesk.store.database import connect
from tests.integration.served_api import served

LOOKS = {"name": "looks", "template": "condition_is", "params": {"condition": "always_true"}}


@pytest.fixture
def engine(database_url: str) -> Engine:
    return connect(database_url)


@pytest.fixture
def api(database_url: str) -> Iterator[httpx.Client]:
    with served(create_app(Settings.load({"MISSIONDESK_DATABASE_URL": database_url}))) as client:
        yield client


def run(engine: Engine, statement: str, **given: Any) -> None:
    with engine.connect() as connection:
        connection.execute(text(statement), given)


def created(api: httpx.Client, path: str, **fields: Any) -> dict[str, Any]:
    answer = api.post(path, json=fields)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def add_mission(api: httpx.Client, name: str = "dip", **fields: Any) -> dict[str, Any]:
    task = created(api, "/api/tasks", **{**LOOKS, "name": f"{name} looks"})
    return created(api, "/api/missions", name=name, task_ids=[task["id"]], **fields)


def test_a_mission_is_made_found_and_changed_by_name_and_by_id(api: httpx.Client) -> None:
    made = add_mission(api, "btc dip", crontab="*/5 * * * *")
    assert made["enabled"] and made["mode"] == "paper" and made["problems"] == []
    by_name, by_id = api.get("/api/missions/btc dip").json(), api.get(f"/api/missions/{made['id']}").json()
    assert by_name == by_id == made
    changed = api.patch(f"/api/missions/{made['id']}", json={"name": "eth dip", "crontab": None})
    assert changed.status_code == 200
    assert changed.json() | {"updated_at": 0} == made | {"name": "eth dip", "crontab": None, "updated_at": 0}
    assert [each["name"] for each in api.get("/api/missions").json()] == ["eth dip"]


def test_a_name_that_is_taken_is_refused_and_its_row_untouched(api: httpx.Client) -> None:
    made = add_mission(api, "dip")
    answer = api.post("/api/missions", json={"name": "dip", "task_ids": made["task_ids"], "enabled": False})
    assert answer.status_code == 422
    assert answer.json()["problems"] == [
        {
            "row": "mission 'dip'",
            "field": "name",
            "expected": "expected a name of its own, got 'dip', which is taken",
        }
    ]
    assert api.get("/api/missions/dip").json() == made


@pytest.mark.parametrize(
    ("fields", "field", "expected"),
    [
        ({"task_ids": [77]}, "task_ids", "expected ids of existing tasks, got 77"),
        ({"name": "a/b"}, "name", "expected 1 to 200 characters and none of / % & < >, got 'a/b'"),
        ({"account": "swiss"}, "account", "expected one of paper, got 'swiss'"),
        ({"walk": "sideways"}, "walk", "expected 'progress' or 'whole', got 'sideways'"),
        ({"periode": "1min"}, "periode", "expected no field of this name, got '1min'"),
        ({"enabled": "perhaps"}, "enabled", None),
        ({"description": "a\0b"}, "description", "expected text without NUL characters, got 'a\\x00b'"),
        ({"crontab": "61 * * * *"}, "crontab", None),
        ({"task_ids": [10**30]}, "task_ids.0", None),
    ],
)
def test_what_is_not_valid_is_named_with_row_field_and_expectation(
    api: httpx.Client, fields: dict[str, Any], field: str, expected: str | None
) -> None:
    before = add_mission(api, "dip")
    answer = api.patch("/api/missions/dip", json=fields)
    assert answer.status_code == 422, answer.text
    (problem,) = answer.json()["problems"]
    assert problem["row"] in ("mission 'dip'", "mission 'a/b'", "body")
    assert problem["field"] == field
    assert problem["expected"].startswith("expected ") and ", got " in problem["expected"]
    assert expected in (None, problem["expected"])
    assert api.get("/api/missions/dip").json() == before


@pytest.mark.parametrize("key", ["nobody", "4711", "9" * 30])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/missions/{}"),
        ("PATCH", "/api/missions/{}"),
        ("DELETE", "/api/missions/{}"),
        ("POST", "/api/missions/{}/enable"),
        ("POST", "/api/missions/{}/disable"),
        ("POST", "/api/missions/{}/restart"),
        ("POST", "/api/missions/{}/run"),
    ],
)
def test_an_unknown_mission_is_an_error_that_names_the_existing_ones(
    api: httpx.Client, method: str, path: str, key: str
) -> None:
    add_mission(api, "dip")
    answer = api.request(method, path.format(key), json={"enabled": True} if method == "PATCH" else None)
    assert answer.status_code == 404
    assert answer.json()["existing"] == ["dip"]
    assert "dip" in answer.json()["message"]


def test_enabling_opens_a_walk_and_disabling_leaves_it_open(api: httpx.Client) -> None:
    made = add_mission(api, "dip", enabled=False)
    assert made["progress"]["missionary_id"] is None
    assert api.get("/api/available/missions").json() == []
    enabled = api.post("/api/missions/dip/enable").json()
    opened = enabled["progress"]["missionary_id"]
    assert enabled["enabled"] and opened is not None
    assert api.get("/api/available/missions").json() == [made["id"]]
    (pair,) = api.get("/api/available/pairs").json()
    assert pair["mission"] == {"id": made["id"], "name": "dip"}
    assert pair["missionary"]["id"] == opened and pair["missionary"]["period"] == "1min"
    disabled = api.post(f"/api/missions/{made['id']}/disable").json()
    assert not disabled["enabled"] and disabled["progress"]["missionary_id"] == opened
    assert api.get("/api/available/pairs").json() == []


def test_restart_begins_a_fresh_walk_of_the_present_list(api: httpx.Client) -> None:
    made = add_mission(api, "dip", enabled=False)
    first = api.post("/api/missions/dip/enable").json()["progress"]["missionary_id"]
    api.patch("/api/missions/dip", json={"task_ids": made["task_ids"] * 2})
    assert api.get("/api/missions/dip").json()["progress"]["steps"] == 1
    answer = api.post("/api/missions/dip/restart").json()
    fresh = answer["progress"]
    assert fresh["missionary_id"] > first and fresh["steps"] == 2
    assert answer["orders_left"] == []


def test_a_restart_cancels_the_orders_of_the_ended_walk_or_tells_of_them(
    api: httpx.Client, engine: Engine
) -> None:
    made = add_mission(api, "dip", enabled=False)
    opened = api.post("/api/missions/dip/enable").json()["progress"]["missionary_id"]
    for number, status in ((1, "intent"), (2, "open")):
        run(
            engine,
            "INSERT INTO trade_order (client_order_id, mission_id, missionary_id, role, task_index, attempt,"
            " account, exchange, symbol, side, type, amount, price, mode, status)"
            " VALUES (:id, :mission, :missionary, 'task', :number, 1,"
            " 'paper', 'nowhere', 'BTC/USD', 'buy', 'limit', 1, 5, 'paper', :status)",
            id=f"order-{number}",
            mission=made["id"],
            missionary=opened,
            number=number,
            status=status,
        )
    [left] = api.post("/api/missions/dip/restart").json()["orders_left"]
    assert left.startswith("buy 1 BTC/USD at 5 (paper, nowhere): ")


def test_a_disabled_mission_is_not_run_and_nothing_changes(api: httpx.Client) -> None:
    before = add_mission(api, "dip", enabled=False)
    answer = api.post("/api/missions/dip/run")
    assert answer.status_code == 409
    assert "disabled" in answer.json()["message"]
    assert api.get("/api/missions/dip").json() == before


def test_a_deleted_mission_is_gone(api: httpx.Client) -> None:
    add_mission(api, "dip")
    assert api.delete("/api/missions/dip").json()["status"] == "success"
    assert api.get("/api/missions/dip").status_code == 404


def test_a_row_spoilt_by_plain_sql_is_listed_with_what_is_wrong(api: httpx.Client, engine: Engine) -> None:
    made = add_mission(api, "dip")
    add_mission(api, "fine")
    run(engine, "UPDATE mission SET walk = 'sideways', max_lateness_seconds = 'NaN' WHERE name = 'dip'")
    run(engine, "UPDATE task SET template = 'gone' WHERE id = :id", id=made["task_ids"][0])
    dip, fine = api.get("/api/missions").json()
    assert {problem["field"] for problem in dip["problems"]} == {"walk", "max_lateness_seconds"}
    assert fine["problems"] == []
    assert api.get("/api/missions/dip").status_code == 200
    task = api.get(f"/api/tasks/{made['task_ids'][0]}").json()
    assert [problem["field"] for problem in task["problems"]] == ["template"]


def test_the_audit_names_the_api(api: httpx.Client, engine: Engine) -> None:
    add_mission(api, "dip")
    api.post("/api/missions/dip/disable")
    with engine.connect() as connection:
        actors = connection.scalars(
            text("SELECT DISTINCT changed_by FROM audit_log WHERE table_name <> 'account'")
        ).all()
    assert actors == ["HTTP API from 127.0.0.1"]


def test_a_task_is_checked_against_its_template(api: httpx.Client) -> None:
    rsi = {"symbol": "BTC/USD", "timeframe": "1h", "value": 30}
    made = created(api, "/api/tasks", name="rsi", template="rsi_below", params=rsi, period="1h")
    assert made["period"] == "60min" and made["params"] == rsi
    answer = api.patch("/api/tasks/rsi", json={"params": {**rsi, "symbol": "BTCUSD"}})
    assert answer.status_code == 422
    (problem,) = answer.json()["problems"]
    assert (problem["row"], problem["field"]) == ("task 'rsi'", "params.symbol")
    answer = api.post("/api/tasks", json={"name": "x", "template": "rsi_belo"})
    assert answer.status_code == 422 and "rsi_below" in answer.json()["message"]
    assert api.get("/api/tasks/rsi").json() == made


def test_a_task_that_missions_walk_is_not_deleted(api: httpx.Client) -> None:
    made = add_mission(api, "dip")
    task = made["task_ids"][0]
    answer = api.delete(f"/api/tasks/{task}")
    assert answer.status_code == 409 and "dip" in answer.json()["message"]
    api.delete("/api/missions/dip")
    assert api.delete(f"/api/tasks/{task}").status_code == 200
    answer = api.get(f"/api/tasks/{task}")
    assert answer.status_code == 404 and answer.json()["existing"] == []


@pytest.mark.parametrize("field", ["can_run_before_each_task", "can_run_before_aim"])
@pytest.mark.parametrize("guard", ["calm", "!calm", " ! calm "])
def test_a_task_that_a_guard_names_keeps_its_name(api: httpx.Client, field: str, guard: str) -> None:
    task = created(api, "/api/tasks", **{**LOOKS, "name": "calm"})
    add_mission(api, "dip", **{field: guard})
    for answer in (
        api.delete(f"/api/tasks/{task['id']}"),
        api.patch(f"/api/tasks/{task['id']}", json={"name": "quiet"}),
    ):
        assert answer.status_code in (409, 422) and "dip" in answer.json()["message"]
    assert api.patch(f"/api/tasks/{task['id']}", json={"name": "calm", "retries": 1}).status_code == 200
    api.patch("/api/missions/dip", json={field: ""})
    assert api.delete(f"/api/tasks/{task['id']}").status_code == 200


def test_a_task_on_the_list_of_an_open_walk_alone_is_not_deleted_either(api: httpx.Client) -> None:
    made = add_mission(api, "dip", enabled=False)
    api.post("/api/missions/dip/enable")
    other = created(api, "/api/tasks", **{**LOOKS, "name": "other"})
    api.patch("/api/missions/dip", json={"task_ids": [other["id"]]})
    assert api.delete(f"/api/tasks/{made['task_ids'][0]}").status_code == 409
    api.post("/api/missions/dip/restart")
    assert api.delete(f"/api/tasks/{made['task_ids'][0]}").status_code == 200


def test_conditions_are_set_read_and_deleted(api: httpx.Client) -> None:
    assert api.get("/api/conditions/stopped").status_code == 404
    assert api.put("/api/conditions/stopped", json={"valid": True}).json() == {
        "name": "stopped",
        "valid": True,
    }
    assert api.get("/api/conditions/stopped").json()["valid"] is True
    assert api.put("/api/conditions/a/b", json={"valid": False}).status_code == 200
    names = [each["name"] for each in api.get("/api/conditions").json()]
    assert names == ["a/b", "always_false", "always_true", "stopped"]
    assert api.delete("/api/conditions/stopped").status_code == 200
    answer = api.delete("/api/conditions/stopped")
    assert answer.status_code == 404 and "always_true" in answer.json()["existing"]


@pytest.mark.parametrize("name", ["always_true", "always_false"])
def test_the_built_in_conditions_never_change(api: httpx.Client, name: str) -> None:
    assert api.put(f"/api/conditions/{name}", json={"valid": False}).status_code == 409
    assert api.delete(f"/api/conditions/{name}").status_code == 409


def test_templates_come_with_the_schema_of_their_params(api: httpx.Client) -> None:
    found = {each["name"]: each for each in api.get("/api/templates").json()}
    assert {"compare", "market_buy", "condition_is", "all_of"} <= set(found)
    assert found["rsi_below"]["params"]["properties"].keys() >= {"symbol", "timeframe", "value"}
    assert api.get("/api/templates/rsi_below").json() == found["rsi_below"]
    answer = api.get("/api/templates/rsi_belo")
    assert answer.status_code == 404 and "did you mean rsi_below" in answer.json()["message"]


def test_results_are_paged_while_new_ones_come_in(api: httpx.Client, engine: Engine) -> None:
    made = add_mission(api, "dip")

    def log(count: int, mission: int) -> None:
        run(
            engine,
            "INSERT INTO result_log (mission_id, missionary_id, task_name, role, task_index, passed, rule)"
            " SELECT :mission, 1, 'looks', 'task', 0, number % 2 = 0, 'CONDITION'"
            " FROM generate_series(1, :count) AS number",
            count=count,
            mission=mission,
        )

    log(5, made["id"])
    log(2, 4711)
    first = api.get("/api/results", params={"mission": "dip", "size": 3}).json()
    log(3, made["id"])
    second = api.get("/api/results", params={"mission": "dip", "size": 3, "before": first["before"]}).json()
    ids = [each["id"] for page in (first, second) for each in page["results"]]
    assert ids == [5, 4, 3, 2, 1]
    assert second["before"] is None
    assert first["results"][0]["text"] == "FAIL: CONDITION"
    assert len(api.get("/api/results").json()["results"]) == 10
    assert len(api.get("/api/results", params={"mission": "4711"}).json()["results"]) == 2
    assert api.get("/api/results", params={"mission": "nobody"}).status_code == 404


def test_metrics_count_what_is_in_the_tables(api: httpx.Client, engine: Engine) -> None:
    add_mission(api, "dip")
    add_mission(api, "off", enabled=False)
    insert = (
        "INSERT INTO result_log (mission_id, missionary_id, task_name, role, passed, rule, logged_at)"
        " VALUES (1, 1, 'looks', 'task', :passed, 'X', now() - make_interval(mins => :age))"
    )
    run(engine, insert, passed=True, age=9)
    run(engine, insert, passed=False, age=0)
    run(engine, insert, passed=True, age=8)
    for more in range(3):
        lines = api.get("/metrics").text.splitlines()
        assert 'missiondesk_missions{state="enabled"} 1.0' in lines
        assert 'missiondesk_missions{state="disabled"} 1.0' in lines
        assert f'missiondesk_results_total{{result="passed"}} {2.0 + more}' in lines
        assert 'missiondesk_results_total{result="failed"} 1.0' in lines
        assert "missiondesk_halted 0.0" in lines
        run(engine, insert, passed=True, age=7)


def test_health_needs_the_database() -> None:
    gone = Settings.load({"MISSIONDESK_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nowhere"})
    with served(create_app(gone)) as api:
        answer = api.get("/health")
        assert answer.status_code == 503 and answer.headers["Retry-After"]
        assert answer.json()["status"] == "error"


def test_a_path_that_does_not_exist_has_the_same_shape(api: httpx.Client) -> None:
    assert api.get("/health").json() == {"status": "ok"}
    assert api.get("/api/nothing").json() == {"status": "error", "message": "Not Found", "problems": []}
    answer = api.put("/api/missions")
    assert answer.status_code == 405 and answer.headers["Allow"] == "GET, POST"
