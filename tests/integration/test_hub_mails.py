"""Mails of failures leave by SMTP or by an HTTP mail API, once each, and are tried again when refused."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from missiondesk.components.mail_ways import way_to_send
from missiondesk.components.mails import Mails
from missiondesk.components.settings import HubSettings
from missiondesk.settings import Settings
from tests.hub_desk import HubDesk, answer, frame, threaded_hub, wait_until


@pytest.fixture
def desk(database_url: str) -> Iterator[HubDesk]:
    made = HubDesk(database_url)
    yield made
    made.engine.dispose()


@pytest.fixture
def settings(database_url: str, short_home) -> Settings:
    return Settings.load({"MISSIONDESK_DATABASE_URL": database_url, "MISSIONDESK_HOME": str(short_home)})


class Inbox:
    def __init__(self) -> None:
        self.mails: list[Envelope] = []
        self.refusals = 0

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.refusals:
            self.refusals -= 1
            return "451 try again later"
        self.mails.append(envelope)
        return "250 taken"


@pytest.fixture
def inbox(monkeypatch, free_port: int) -> Iterator[Inbox]:
    box = Inbox()
    controller = Controller(box, hostname="127.0.0.1", port=free_port)
    controller.start()
    given = {
        "MISSIONDESK_SMTP_HOST": "127.0.0.1",
        "MISSIONDESK_SMTP_PORT": str(free_port),
        "MISSIONDESK_SMTP_SECURITY": "none",
        "MISSIONDESK_MAIL_FROM": "desk@example.org",
        "MISSIONDESK_MAIL_TO": "one@example.org, two@example.org",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    yield box
    controller.stop()


def test_a_failed_execution_is_mailed_once(inbox: Inbox, desk: HubDesk, settings: Settings):
    inbox.refusals = 1
    with threaded_hub(settings) as hub, hub.websocket(f"hash={hub.register('breaks')}") as module:
        number = desk.registry.find("breaks").id
        desk.commands.give(number, desk.work(workflow_name="daily"))
        answer(module, frame(module), "failed", error="keine Zahlen ü")
        tried = "SELECT count(*) FROM component_mail WHERE problem <> '' AND sent_at IS NULL"
        wait_until(lambda: desk.rows(tried) == [(1,)], "the mail to be refused")
        desk.rows("UPDATE component_mail SET next_try_at = now() RETURNING id")
        wait_until(lambda: len(inbox.mails) == 1, "the mail")
        module.send("{")
        wait_until(lambda: len(inbox.mails) == 2, "the mail about the invalid message")
    first, second = inbox.mails
    assert first.rcpt_tos == ["one@example.org", "two@example.org"]
    assert b"Subject: daily: breaks failed" in first.content
    assert b"Subject: breaks: invalid message" in second.content


def test_the_http_api_gets_signed_json(desk: HubDesk):
    taken = []

    class Api(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            taken.append((dict(self.headers), body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    configured = HubSettings.load(
        {
            "MISSIONDESK_MAIL_API_URL": f"http://127.0.0.1:{server.server_port}/send",
            "MISSIONDESK_MAIL_API_KEY": "the-key",
            "MISSIONDESK_MAIL_FROM": "desk@example.org",
            "MISSIONDESK_MAIL_TO": "one@example.org",
            "MISSIONDESK_SECRET_KEY": "signs",
        }
    )
    send = way_to_send(configured)
    assert send is not None
    mails = Mails(desk.engine)
    mails.add("exception", "it broke", "really")
    mails.add("exception", "it broke", "again")
    (mail,) = mails.take()
    assert mails.take() == []
    send(mail)
    mails.sent(mail.id)
    server.shutdown()
    server.server_close()
    ((headers, body),) = taken
    assert json.loads(body)["subject"] == "it broke"
    assert headers["Authorization"] == "Bearer the-key"
    assert headers["X-Missiondesk-Signature"] == hmac.new(b"signs", body, hashlib.sha256).hexdigest()
