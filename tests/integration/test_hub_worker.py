"""The client library against a real hub: works, fails, reconnects, is taken over."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedError
from websockets.sync.client import ClientConnection

from missiondesk.components import worker
from missiondesk.components.worker import Component
from missiondesk.settings import Settings
from models.component import CommandStatus
from models.errors import InputRefused
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


@contextmanager
def running(component: Component, *servers: str) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=component.run, args=servers, daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        component.stop()
        thread.join(20)
        assert not thread.is_alive()


def test_ten_lines_make_a_component(hub: Hub, desk: HubDesk):
    mean = Component("mean")

    @mean.handler
    def work(args, meta):
        if not args:
            raise ValueError("no numbers")
        return str(sum(args) / len(args))

    with running(mean, hub.address):
        wait_for(lambda: hub.online() == ["mean"], "the component to be online")
        number = desk.registry.find("mean").id
        good = desk.ended(desk.commands.give(number, desk.work([1, 2])))
        bad = desk.ended(desk.commands.give(number, desk.work([])))
    assert (good.status, good.message) == (CommandStatus.SUCCEEDED, "1.5")
    assert (bad.status, bad.error) == (CommandStatus.FAILED, "ValueError: no numbers")


def test_outputs_are_reported_and_several_run_at_once(hub: Hub, desk: HubDesk):
    together = threading.Barrier(3, timeout=20)
    component = Component("three", at_once=3)

    @component.handler
    def work(args, meta):
        together.wait()
        return {"rows": [args]}

    with running(component, hub.address):
        wait_for(lambda: hub.online() == ["three"], "the component to be online")
        number = desk.registry.find("three").id
        given = [desk.commands.give(number, desk.work(index)) for index in range(3)]
        assert [desk.ended(each).outputs for each in given] == [{"rows": [index]} for index in range(3)]


@pytest.mark.parametrize("result", ["x" * 1_100_000, ["x"] * 300_000])
def test_a_result_that_is_too_large_is_a_failure(hub: Hub, desk: HubDesk, result: object):
    large = Component("large")

    @large.handler
    def work(args, meta):
        return result

    with running(large, hub.address):
        wait_for(lambda: hub.online() == ["large"], "the component to be online")
        outcome = desk.ended(desk.commands.give(desk.registry.find("large").id, desk.work()))
    assert outcome.status is CommandStatus.FAILED and "at most 1000000 bytes" in outcome.error
    assert large.connections == 1


def test_an_error_that_is_too_long_is_cut(hub: Hub, desk: HubDesk):
    wordy = Component("wordy")

    @wordy.handler
    def work(args, meta):
        raise ValueError("x" * 2_000_000)

    with running(wordy, hub.address):
        wait_for(lambda: hub.online() == ["wordy"], "the component to be online")
        outcome = desk.ended(desk.commands.give(desk.registry.find("wordy").id, desk.work()))
    assert outcome.status is CommandStatus.FAILED and outcome.error.startswith("ValueError: xxx")


def test_sessions_that_end_in_an_error_make_the_pauses_longer(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(worker.random, "uniform", lambda low, high: high)
    component = Component("unlucky")
    component.handler(lambda args, meta: None)
    pauses: list[float] = []

    async def break_off(server: str) -> bool:
        raise ConnectionClosedError(None, None)

    async def note(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 9:
            component.stop()

    monkeypatch.setattr(component, "_session", break_off)
    monkeypatch.setattr(component, "_rest", note)
    component.run("http://127.0.0.1:1")
    assert pauses == [0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 15, 15, 15]


def test_a_lost_connection_repeats_the_command_and_not_the_work(settings: Settings, hub: Hub, desk: HubDesk):
    worked: list[int] = []
    begun, go_on = threading.Event(), threading.Event()
    component = Component("steady")

    @component.handler
    def work(args, meta):
        worked.append(args)
        begun.set()
        go_on.wait(20)

    with threaded_hub(settings) as other, running(component, hub.address, other.address):
        wait_for(lambda: hub.online() == ["steady"], "the component to be online")
        given = desk.commands.give(desk.registry.find("steady").id, desk.work(7))
        assert begun.wait(20)
        answer_by = desk.rows("SELECT answer_by FROM component_command")
        known = desk.registry.find("steady").hash
        hub.http.post("/module/close_websocket", json={"module_hash": known})
        wait_for(lambda: component.connections == 2, "the component to come back")
        sends = "SELECT sends FROM component_command"
        wait_for(lambda: desk.rows(sends) == [(2,)], "the command to be sent again")
        assert desk.rows("SELECT answer_by FROM component_command") == answer_by, "it is no new command"
        go_on.set()
        assert desk.ended(given).status is CommandStatus.SUCCEEDED
    assert worked == [7]


def test_a_report_made_while_disconnected_arrives_later(hub: Hub, desk: HubDesk):
    begun, go_on = threading.Event(), threading.Event()
    component = Component("away")

    @component.handler
    def work(args, meta):
        begun.set()
        go_on.wait(20)
        return "done"

    with running(component, hub.address):
        wait_for(lambda: hub.online() == ["away"], "the component to be online")
        given = desk.commands.give(desk.registry.find("away").id, desk.work())
        assert begun.wait(20)
        hub.http.post("/module/close_websocket", json={"module_hash": component.hash})
        go_on.set()
        outcome = desk.ended(given)
    assert (outcome.status, outcome.message) == (CommandStatus.SUCCEEDED, "done")


def test_what_comes_while_it_stops_is_reported_too(hub: Hub, desk: HubDesk):
    component = Component("leaving", at_once=2)
    begun = [threading.Event(), threading.Event()]
    go_on = [threading.Event(), threading.Event()]

    @component.handler
    def work(args, meta):
        begun[args].set()
        go_on[args].wait(20)

    with running(component, hub.address) as thread:
        wait_for(lambda: hub.online() == ["leaving"], "the component to be online")
        number = desk.registry.find("leaving").id
        first = desk.commands.give(number, desk.work(0))
        assert begun[0].wait(20)
        component.stop()
        second = desk.commands.give(number, desk.work(1))
        assert begun[1].wait(20)
        go_on[0].set()
        assert desk.ended(first).status is CommandStatus.SUCCEEDED
        assert hub.online() == ["leaving"] and thread.is_alive()
        go_on[1].set()
        assert desk.ended(second).status is CommandStatus.SUCCEEDED


def test_hot_swap_the_old_one_finishes_the_new_one_goes_on(hub: Hub, desk: HubDesk):
    begun, go_on = threading.Event(), threading.Event()
    old, new = Component("swapped"), Component("swapped")

    @old.handler
    def slow(args, meta):
        begun.set()
        go_on.wait(20)
        return "old"

    @new.handler
    def fast(args, meta):
        return "new"

    with running(old, hub.address) as old_thread:
        wait_for(lambda: hub.online() == ["swapped"], "the component to be online")
        number = desk.registry.find("swapped").id
        first = desk.commands.give(number, desk.work())
        second = desk.commands.give(number, desk.work())
        assert begun.wait(20)
        with running(new, hub.address):
            assert desk.ended(second).message == "new"
            go_on.set()
            assert desk.ended(first).message == "old"
            old_thread.join(20)
            assert not old_thread.is_alive()


@contextmanager
def newest(hub: Hub, known: str) -> Iterator[ClientConnection]:
    """A connection that has become its module's current one; the handshake ends a little before that."""
    before = {row["session_id"] for row in hub.http.get("/module/online").json()["result"]}
    with hub.websocket(f"hash={known}") as websocket:

        def replaced() -> bool:
            rows = hub.http.get("/module/online").json()["result"]
            return bool(rows) and rows[0]["session_id"] not in before

        wait_for(replaced, "the new connection to be the current one")
        yield websocket


def test_hot_swap_of_old_modules_one_command_at_a_time(hub: Hub, desk: HubDesk):
    known = hub.register("old")
    number = desk.registry.find("old").id
    with newest(hub, known) as first, newest(hub, known) as second:
        given = desk.commands.give(number, desk.work(1))
        told = frame(second)
        with newest(hub, known) as third:
            waiting = desk.commands.give(number, desk.work(2))
            with pytest.raises(TimeoutError):
                third.recv(timeout=1.5)
            assert answer(second, told, message="second") == "receive result"
            assert frame(third)["args"] == 2
            third.send('{"type": "result", "status": "success", "message": "third"}')
            assert desk.ended(given).message == "second"
            assert desk.ended(waiting).message == "third"
        for replaced in (first, second):
            with pytest.raises(ConnectionClosed, match="replaced by a newer"):
                replaced.recv(timeout=PATIENCE_SECONDS)


def test_a_refused_registration_is_told(hub: Hub):
    nameless = Component(" ")
    nameless.handler(lambda args, meta: None)
    with pytest.raises(InputRefused, match="name: expected 1 to 200"):
        nameless.run(hub.address)
