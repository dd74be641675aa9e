"""Failures of components are told by the desk's channels, once each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from console.hub.delivering import channels
from missiondesk.components.settings import HubSettings
from missiondesk.notifications.mail_api import MailApiChannel
from missiondesk.settings import Settings
from models.component import CommandStatus
from tests.hub_desk import HubDesk, answer, frame, threaded_hub
from tests.receivers import Mailbox, smtp_server
from tests.waiting import wait_for


@pytest.fixture
def desk(database_url: str) -> Iterator[HubDesk]:
    made = HubDesk(database_url)
    yield made
    made.engine.dispose()


@pytest.fixture
def settings(database_url: str, short_home) -> Settings:
    return Settings.load({"MISSIONDESK_DATABASE_URL": database_url, "MISSIONDESK_HOME": str(short_home)})


@pytest.fixture
def inbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    with smtp_server() as box:
        given = {
            "MISSIONDESK_SMTP_HOST": "127.0.0.1",
            "MISSIONDESK_SMTP_PORT": str(box.port),
            "MISSIONDESK_SMTP_SECURITY": "none",
            "MISSIONDESK_MAIL_FROM": "desk@example.org",
            "MISSIONDESK_MAIL_TO": "one@example.org, two@example.org",
        }
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        yield box


def test_a_failed_execution_is_mailed_once(inbox: Mailbox, desk: HubDesk, settings: Settings):
    with threaded_hub(settings) as hub, hub.websocket(f"hash={hub.register('breaks')}") as module:
        number = desk.registry.find("breaks").id
        desk.commands.give(number, desk.work(workflow_name="daily"))
        answer(module, frame(module), "failed", error="keine Zahlen ü")
        wait_for(lambda: len(inbox.mails) == 1, "the mail")
        for _ in range(3):
            module.send("{")
        wait_for(lambda: len(inbox.mails) == 2, "the mail about the invalid message")
    first, second = inbox.mails
    assert inbox.receivers == ["one@example.org", "two@example.org"] * 2
    assert first["Subject"] == "daily: breaks failed"
    assert "error: keine Zahlen ü" in first.get_content()
    assert second["Subject"] == "breaks: invalid message"


@pytest.mark.parametrize("status", ["failed", "timeout", "unknown", "offline"])
def test_every_bad_end_of_a_command_is_told(desk: HubDesk, status: CommandStatus):
    component = desk.registry.register("breaks").id
    desk.commands.give(component, desk.work(workflow_name="daily"))
    for _ in range(2):
        desk.rows("UPDATE component_command SET status = :status RETURNING id", status=status)
    told = desk.rows("SELECT kind, subject, account FROM notification")
    assert told == [(f"command {status}", f"daily: breaks {status}", None)]


def test_the_mail_api_takes_the_place_of_smtp():
    configured = HubSettings.load(
        {
            "MISSIONDESK_MAIL_API_URL": "https://mail.example.org/send",
            "MISSIONDESK_MAIL_API_KEY": "the-key",
            "MISSIONDESK_MAIL_FROM": "desk@example.org",
            "MISSIONDESK_MAIL_TO": "one@example.org",
            "MISSIONDESK_SMTP_HOST": "mail.example.org",
        }
    )
    assert isinstance(channels(configured)("mail"), MailApiChannel)
    assert "the-key" not in repr(channels(configured)("mail"))
