"""A server process under hostile input: every refusal is clear, the process stays up, its memory bounded."""

from __future__ import annotations

import json
import logging
import resource
import socket
from collections.abc import Iterator

import psutil
import pytest
from websockets.exceptions import ConnectionClosed

from tests.hub_desk import Hub, HubDesk, answer, frame, hub_process
from tests.waiting import PATIENCE_SECONDS, wait_for

log = logging.getLogger(__name__)

HALF_OPEN = 10_000
# Measured: 4.7 kB for each.
HALF_OPEN_MEGABYTES = 100
NASTY = ["'; DROP TABLE component; --", '"', "\\", "%s", "{0}", "$1", "ü🙂", "<script>", "a" * 300]


@pytest.fixture
def desk(database_url: str) -> Iterator[HubDesk]:
    made = HubDesk(database_url)
    yield made
    made.engine.dispose()


@pytest.fixture
def served(database_url: str, short_home) -> Iterator[tuple[Hub, psutil.Process]]:
    with hub_process(database_url, str(short_home)) as (hub, process):
        yield hub, psutil.Process(process.pid)


@pytest.fixture
def many_files() -> Iterator[None]:
    """As many open files as this system allows us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < HALF_OPEN + 1000:
        pytest.skip(f"expected {HALF_OPEN + 1000} open files to be allowed, got {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (HALF_OPEN + 1000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_half_open_sockets_are_closed_and_cost_little(many_files: None, served: tuple[Hub, psutil.Process]):
    hub, process = served
    before = process.memory_info().rss
    port = int(hub.address.rpartition(":")[2])
    sockets = []
    try:
        for number in range(HALF_OPEN):
            opened = socket.create_connection(("127.0.0.1", port), timeout=20)
            opened.sendall([b"", b"GET /websocket", b"GET / HTTP/1.1\r\nHost: x\r\nX: "][number % 3])
            sockets.append(opened)
        wait_for(lambda: process.num_fds() > HALF_OPEN, "all to be open at once")
        grown = (process.memory_info().rss - before) / 1e6
        log.info("%d half-open sockets: %.1f MB", HALF_OPEN, grown)
        assert grown < HALF_OPEN_MEGABYTES
        with hub.websocket(f"hash={hub.register('served all the same')}") as module:
            wait_for(lambda: hub.online() == ["served all the same"], "the module to be online")
            assert module.ping().wait(10)
        sockets[0].settimeout(30)
        assert sockets[0].recv(100) == b""
        wait_for(lambda: process.num_fds() < HALF_OPEN / 10, "all to be closed")
    finally:
        for opened in sockets:
            opened.close()


def test_frames_that_are_too_large_end_their_connection_alone(served: tuple[Hub, psutil.Process]):
    hub, process = served
    known = hub.register("large")
    before = process.memory_info().rss
    for _ in range(20):
        with hub.websocket(f"hash={known}") as module, pytest.raises(ConnectionClosed) as closed:
            module.send("x" * 5_000_000)
            module.recv(timeout=20)
        assert closed.value.rcvd is None or closed.value.rcvd.code == 1009
    assert (process.memory_info().rss - before) / 1e6 < 60


def test_a_module_that_only_talks_nonsense_is_closed(served: tuple[Hub, psutil.Process]):
    hub, _ = served
    with hub.websocket(f"hash={hub.register('nonsense')}") as module, pytest.raises(ConnectionClosed):
        for _ in range(1000):
            module.send(b"\xff\xfe{")
            assert "expected" in frame(module)["message"]


def test_a_module_that_never_reads_does_not_fill_the_memory(
    served: tuple[Hub, psutil.Process], desk: HubDesk
):
    hub, process = served
    known = hub.register("deaf")
    number = desk.registry.find("deaf").id
    before = process.memory_info().rss
    with hub.websocket(f"hash={known}", max_queue=1):
        wait_for(lambda: hub.online() == ["deaf"], "the module to be online")
        for _ in range(300):
            desk.commands.send_message(number, "x" * 300_000)
        wait_for(
            lambda: desk.rows("SELECT count(*) FROM component_command WHERE status = 'waiting'")[0][0] < 300,
            "some messages to be claimed",
        )
        assert hub.online() == ["deaf"]
        assert (process.memory_info().rss - before) / 1e6 < 150


def test_nasty_texts_in_every_field(served: tuple[Hub, psutil.Process], desk: HubDesk):
    hub, _ = served
    for text in NASTY:
        for field in ("name", "description", "modelHash", "input_data", "output_data", "priority"):
            given = {"name": f"n {NASTY.index(text)}", "description": field, field: text}
            answered = hub.http.get("/module/register", params=given)
            assert answered.json()["code"] in ("2000", "3002", "3005"), answered.text
        for path in ("/module/send_message", "/module/close_websocket"):
            for body in ({"module_hash": text, "message": text}, {"module_id": text}, {"module_id": 10**30}):
                answered = hub.http.post(path, json=body)
                assert answered.json()["code"] in ("3002", "3003"), answered.text
        workflow = {
            "name": text,
            "execute_cron_list": [text],
            "execute_modules": [{"module_hash": text, "args": text}],
            "execute_shift_unit": text,
        }
        assert hub.http.post("/workflow/create", json=workflow).json()["code"] == "3002"
        assert hub.http.post(f"/workflow/{len(text)}{text[:5]}/execute").status_code >= 400
        with hub.websocket("hash=x") as module, pytest.raises(ConnectionClosed):
            module.recv(timeout=PATIENCE_SECONDS)
    with hub.websocket(f"hash={hub.register('nasty')}") as module:
        number = desk.registry.find("nasty").id
        for text in [*NASTY, "\0", "\ud800"]:
            given = desk.commands.give(number, desk.work(text))
            told = frame(module)
            assert told["args"] == text
            answer(module, told, "failed", error=text, message=text, module_name=text, outputs=[text])
            assert desk.ended(given).status == "failed"
    for body in (b"", b"{", b"[]", b'{"a": NaN}', b"\xff", b"[" * 100_000):
        answered = hub.http.post("/workflow/create", content=body)
        assert (answered.status_code, answered.json()["code"]) == (400, "3002")
    large = json.dumps({"name": "x" * 3_000_000})
    assert hub.http.post("/workflow/create", content=large).json()["code"] == "3002"
    assert len(desk.rows("SELECT id FROM component")) > 1
