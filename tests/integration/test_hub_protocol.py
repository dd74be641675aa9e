"""The old protocol, followed by a client that uses nothing but websockets and httpx."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from missiondesk.settings import Settings
from models.component import CommandStatus
from tests.hub_desk import Hub, HubDesk, answer, frame, threaded_hub
from tests.waiting import PATIENCE_SECONDS, wait_for


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


def test_a_module_registers_connects_works_and_reports(hub: Hub, desk: HubDesk):
    answered = hub.http.get(
        "/module/register",
        params={
            "name": "mean",
            "description": "means",
            "input_data": "{}",
            "output_data": "a number",
            "modelHash": "m1",
        },
    ).json()
    expected = hashlib.sha256(b"meanmeansm1").hexdigest()
    assert answered["code"] == "2000" and answered["message"] == "成功!"
    assert answered["result"]["hash"] == expected
    component_id = answered["result"]["module_id"]

    with hub.websocket(f"hash={expected}") as module:
        wait_for(lambda: hub.online() == ["mean"], "the module to be online")
        given = desk.commands.give(
            component_id, desk.work({"x": [1, 2]}, workflow_id="w1", workflow_name="daily")
        )
        told = frame(module)
        assert told == {
            "type": "execute",
            "meta": {
                "execution_id": str(given),
                "execution_time": "2024-01-01T00:00:00+00:00",
                "workflow_id": "w1",
                "workflow_name": "daily",
            },
            "args": {"x": [1, 2]},
        }
        assert answer(module, told, message="1.5") == "receive result"
        outcome = desk.ended(given)
    assert (outcome.status, outcome.message) == (CommandStatus.SUCCEEDED, "1.5")
    wait_for(lambda: hub.online() == [], "the module to be offline")


@pytest.mark.parametrize("word", ["failed", "error", "fail", "FAILED"])
def test_words_of_failure(hub: Hub, desk: HubDesk, word: str):
    with hub.websocket(f"hash={hub.register('breaks')}") as module:
        given = desk.commands.give(desk.registry.find("breaks").id, desk.work())
        answer(module, frame(module), word, error="no data")
        outcome = desk.ended(given)
    assert (outcome.status, outcome.error) == (CommandStatus.FAILED, "no data")
    assert desk.rows("SELECT kind, subject FROM notification") == [("command failed", "breaks failed")]


def test_what_registering_refuses(hub: Hub):
    hub.register("one", modelHash="m")
    refusals = {
        "3005": {"name": "one", "modelHash": "m"},
        "3004": {"name": "on", "description": "e", "modelHash": "m"},
        "3002": {"description": "nameless"},
    }
    for code, given in refusals.items():
        answered = hub.http.get("/module/register", params=given)
        assert answered.status_code == 400
        assert answered.json()["code"] == code
        assert answered.json()["result"] is None
    again = hub.http.get("/module/register", params={"name": "one", "modelHash": "m"})
    assert again.json()["message"] == "模块重复注册!"


def test_who_is_online_is_told_with_all_fields(hub: Hub, desk: HubDesk):
    known = hub.register("shown", description="a module", priority="3")
    with hub.websocket(f"hash={known}"):
        (row,) = wait_for(lambda: hub.http.get("/module/online").json()["result"], "one module online")
    assert set(row) == {
        "module_id", "name", "description", "priority", "module_hash", "last_execution_time", "alive",
        "session_id", "last_alive_time", "last_login_time",
    }  # fmt: skip
    assert (row["name"], row["priority"], row["module_hash"], row["alive"]) == ("shown", 3, known, True)


def test_messages_reach_a_module_by_hash_and_by_id(hub: Hub, desk: HubDesk):
    known = hub.register("hears")
    offline = hub.http.post("/module/send_message", json={"module_hash": known, "message": "anyone?"})
    assert (offline.status_code, offline.json()["code"]) == (400, "3003")
    with hub.websocket(f"hash={known}") as module:
        wait_for(lambda: hub.online() == ["hears"], "the module to be online")
        sent = hub.http.post("/module/send_message", json={"module_hash": known, "message": "hello"})
        assert sent.json()["result"] == {"message": "hello"}
        assert module.recv(timeout=PATIENCE_SECONDS) == "hello"
        number = desk.registry.find("hears").id
        hub.http.post("/module/send_message", json={"module_id": number, "message": {"a": 1}})
        assert frame(module) == {"a": 1}
    states = "SELECT DISTINCT status FROM component_command"
    wait_for(lambda: desk.rows(states) == [("succeeded",)], "the messages to count as handed over")


@pytest.mark.parametrize("message", ["\\ud800", "\\u0000"])
def test_a_message_that_no_websocket_could_bring_is_refused(hub: Hub, desk: HubDesk, message: str):
    known = hub.register("hears")
    with hub.websocket(f"hash={known}") as module:
        wait_for(lambda: hub.online() == ["hears"], "the module to be online")
        for value in (f'"{message}"', f'{{"{message}": 1}}', f'[["{message}"]]'):
            body = f'{{"module_hash": "{known}", "message": {value}}}'
            answered = hub.http.post("/module/send_message", content=body)
            assert (answered.status_code, answered.json()["code"]) == (400, "3002")
        hub.http.post("/module/send_message", json={"module_hash": known, "message": "next"})
        assert module.recv(timeout=PATIENCE_SECONDS) == "next"
    assert desk.rows("SELECT count(*) FROM component_command") == [(1,)]


@pytest.mark.parametrize("number", ["NaN", "1e999", "-Infinity"])
def test_numbers_that_json_has_no_form_for_are_bad_data(hub: Hub, number: str):
    data = f'{{"table_name": "load", "time_begin": {number}}}'
    answered = hub.http.get("/module/register", params={"name": "m", "input_data": data})
    assert (answered.status_code, answered.json()["code"]) == (400, "3002")
    body = f'{{"name": "w", "execute_modules": [{{"name": "m", "args": {number}}}]}}'
    answered = hub.http.post("/workflow/create", content=body)
    assert (answered.status_code, answered.json()["code"]) == (400, "3002")
    assert number in answered.json()["message"]


def test_a_connection_is_closed_on_request(hub: Hub):
    known = hub.register("closed")
    with hub.websocket(f"hash={known}") as module:
        wait_for(lambda: hub.online() == ["closed"], "the module to be online")
        assert hub.http.post("/module/close_websocket", json={"module_hash": known}).status_code == 200
        with pytest.raises(ConnectionClosed) as closed:
            module.recv(timeout=PATIENCE_SECONDS)
    assert closed.value.rcvd is not None and closed.value.rcvd.reason == "closed by the desk"
    wait_for(lambda: hub.online() == [], "the module to be offline")
    again = hub.http.post("/module/close_websocket", json={"module_hash": known})
    assert again.json()["code"] == "3003"


def test_an_unknown_hash_is_closed_with_the_reason(hub: Hub):
    with hub.websocket("hash=deadbeef") as module, pytest.raises(ConnectionClosed) as closed:
        module.recv(timeout=PATIENCE_SECONDS)
    assert closed.value.rcvd is not None and "unknown hash" in closed.value.rcvd.reason


def test_pings_and_what_can_not_be_read(hub: Hub):
    with hub.websocket(f"hash={hub.register('pings')}") as module:
        assert module.ping().wait(10)
        module.send('{"type": "ping"}')
        assert frame(module) == {"type": "pong"}
        for broken in ("{", "[]", '{"type": "dance"}', '{"type": "result"}', "NaN", "[" * 100_000):
            module.send(broken)
            said = frame(module)
            assert said["type"] == "error" and "expected" in said["message"], broken
        module.send(json.dumps({"type": "result", "status": "ok", "execution_id": "'; DROP TABLE component"}))
        assert "execution_id" in frame(module)["message"]


def test_a_result_without_execution_id_ends_the_oldest_command(hub: Hub, desk: HubDesk):
    with hub.websocket(f"hash={hub.register('serial')}") as module:
        number = desk.registry.find("serial").id
        given = [desk.commands.give(number, desk.work(index)) for index in range(3)]
        for index, execution_id in enumerate(given):
            told = frame(module)
            assert told["args"] == index
            with pytest.raises(TimeoutError):  # one at a time
                module.recv(timeout=0.1)
            answer(module, told, message=str(index))
            assert desk.ended(execution_id).message == str(index)


def test_no_report_is_a_timeout_and_a_late_one_changes_nothing(hub: Hub, desk: HubDesk):
    with hub.websocket(f"hash={hub.register('slow')}") as module:
        given = desk.commands.give(desk.registry.find("slow").id, desk.work(timeout_seconds=0.5))
        told = frame(module)
        assert desk.ended(given).status is CommandStatus.TIMEOUT
        assert answer(module, told) == "receive result"
        assert desk.commands.outcome(given).status is CommandStatus.TIMEOUT


def test_a_command_waits_for_its_module_and_no_longer_than_it_may(hub: Hub, desk: HubDesk):
    known, number = hub.register("late"), desk.registry.find("late").id
    waits = desk.commands.give(number, desk.work("waits"))
    never = desk.commands.give(number, desk.work("never", wait_seconds=0.1))
    assert desk.ended(never).status is CommandStatus.OFFLINE
    with hub.websocket(f"hash={known}") as module:
        answer(module, frame(module))
        assert desk.ended(waits).status is CommandStatus.SUCCEEDED


def test_with_a_token_both_protocols_ask_for_it(settings: Settings):
    guarded = Settings.load(
        {
            "MISSIONDESK_DATABASE_URL": settings.database_url.get_secret_value(),
            "MISSIONDESK_HOME": str(settings.home),
            "MISSIONDESK_API_TOKEN": "let-me-in",
        }
    )
    with threaded_hub(guarded) as hub:
        known = hub.register("guarded")
        with hub.websocket(f"hash={known}"):
            pass
        hub.headers.clear()
        with hub.websocket(f"hash={known}&token=let-me-in"):
            pass
        with pytest.raises(InvalidStatus, match="403"), hub.websocket(f"hash={known}"):
            pass
        assert hub.http.get("/module/online", headers={"Authorization": ""}).status_code == 401
