"""Who is too slow, or silent where an answer is due, is told so and closed; nobody else is hurried."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from console.hub.impatient_http import WITHIN_SECONDS, Owed
from console.hub.server import UVICORN_OPTIONS
from missiondesk.settings import Settings
from models.component import SILENCE_SECONDS
from tests.hub_desk import Hub, threaded_hub
from tests.waiting import wait_for

HEAD = b"POST /module/send_message HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n"
WHOLE = b"GET /module/online HTTP/1.1\r\nHost: localhost\r\n\r\n"
HANDSHAKE = (
    b"GET /websocket?hash=%s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@pytest.fixture
def hub(database_url: str, short_home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setitem(WITHIN_SECONDS, Owed.HEAD, 1)
    monkeypatch.setitem(WITHIN_SECONDS, Owed.BODY, 2)
    given = {"MISSIONDESK_DATABASE_URL": database_url, "MISSIONDESK_HOME": str(short_home)}
    with threaded_hub(Settings.load(given)) as running:
        yield running


@pytest.fixture
def peer(hub: Hub) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", int(hub.address.rpartition(":")[2])), timeout=20) as opened:
        yield opened


def until_closed(peer: socket.socket) -> bytes:
    """What is answered until the hub closes."""
    answered = b""
    while said := peer.recv(65_536):
        answered += said
    return answered


def test_a_peer_that_says_nothing_is_closed(peer: socket.socket):
    assert until_closed(peer) == b""


def test_a_head_that_does_not_end(peer: socket.socket):
    peer.sendall(WHOLE[:-2])
    assert until_closed(peer).endswith(b"\r\n\r\nexpected the whole head within 1 s")


def test_a_second_head_that_does_not_end(peer: socket.socket):
    peer.sendall(WHOLE)
    assert b" 200 OK" in peer.recv(65_536)
    peer.sendall(WHOLE[:-2])
    assert until_closed(peer).startswith(b"HTTP/1.1 408 Request Timeout\r\n")


def test_a_body_that_trickles(peer: socket.socket, caplog: pytest.LogCaptureFixture):
    peer.sendall(HEAD)
    peer.settimeout(0.1)
    began, answered = time.monotonic(), b""
    while not answered:
        assert time.monotonic() - began < 20
        peer.sendall(b"{")
        try:
            answered = peer.recv(65_536)
        except TimeoutError:
            continue
    assert answered.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert answered.endswith(b"\r\n\r\nexpected the whole body within 2 s")
    assert time.monotonic() - began > 1.5
    assert "broke" not in caplog.text


def test_a_websocket_may_be_silent(hub: Hub):
    with hub.websocket(f"hash={hub.register('silent')}") as module:
        wait_for(lambda: hub.online() == ["silent"], "the module to be online")
        with pytest.raises(TimeoutError):
            module.recv(timeout=3)
        assert hub.online() == ["silent"]


@pytest.fixture
def strict_hub(database_url: str, short_home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Silence is allowed for 120 s; here for 2."""
    assert UVICORN_OPTIONS["ws_ping_interval"] + UVICORN_OPTIONS["ws_ping_timeout"] == SILENCE_SECONDS == 120
    monkeypatch.setitem(UVICORN_OPTIONS, "ws_ping_interval", 1.0)
    monkeypatch.setitem(UVICORN_OPTIONS, "ws_ping_timeout", 1.0)
    given = {"MISSIONDESK_DATABASE_URL": database_url, "MISSIONDESK_HOME": str(short_home)}
    with threaded_hub(Settings.load(given)) as running:
        yield running


@contextmanager
def deaf_module(hub: Hub, name: str) -> Iterator[socket.socket]:
    """One that answers no ping."""
    known, port = hub.register(name), int(hub.address.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as peer:
        peer.sendall(HANDSHAKE % known.encode())
        assert b" 101 " in peer.recv(65_536)
        wait_for(lambda: name in hub.online(), f"{name} to be online")
        yield peer


def test_a_module_that_is_silent_is_offline(strict_hub: Hub):
    alive = strict_hub.register("alive")
    with strict_hub.websocket(f"hash={alive}"), deaf_module(strict_hub, "dead"):
        wait_for(lambda: sorted(strict_hub.online()) == ["alive", "dead"], "both to be online")
        wait_for(lambda: strict_hub.online() == ["alive"], "the silent one to be offline")


def test_a_module_that_answers_no_ping_but_speaks_is_online(strict_hub: Hub):
    with deaf_module(strict_hub, "busy") as peer:
        peer.settimeout(0.2)
        began = time.monotonic()
        while time.monotonic() - began < 4:
            peer.sendall(b"\x81\x8f\0\0\0\0" + b'{"type":"ping"}')
            with suppress(TimeoutError):
                while peer.recv(65_536):
                    pass
        assert strict_hub.online() == ["busy"]
        wait_for(lambda: strict_hub.online() == [], "it to be offline, silent now")
