"""Channels kept as blocks on a real Prefect server, delivering to real SMTP and HTTP servers."""

from __future__ import annotations

import threading
from pathlib import Path
from uuid import uuid4

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings
from pydantic import SecretStr, ValidationError
from sqlalchemy import text

from blocks.channels import MailChannel, ServiceChannel, channel_of_block
from console.hub.delivering import channels
from missiondesk.components.settings import HubSettings
from missiondesk.notifications.channel import NotSent
from missiondesk.notifications.deliverer import Deliverer
from missiondesk.store.database import connect
from missiondesk.store.notifications import Notifications
from models.errors import InputRefused
from tests.ports import free_port
from tests.receivers import certificate, http_server, smtp_server

pytestmark = pytest.mark.prefect

PASSWORD = "the-password-of-the-desk"
TOKEN = "T0ken-0f-the-desk"


@pytest.fixture
def name() -> str:
    """Block names of one's own: the server is shared."""
    return f"channel-{uuid4().hex[:8]}"


def mail_channel(port: int) -> MailChannel:
    return MailChannel(
        host="127.0.0.1",
        port=port,
        user="desk",
        password=SecretStr(PASSWORD),
        sender="desk@example.org",
        receivers=["one@example.org"],
    )


def test_an_accounts_news_leave_by_its_blocks(
    prefect_api: str, name: str, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, trusted = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    engine = connect(database_url)
    with smtp_server(starttls=context, logins={"desk": PASSWORD}) as box, http_server() as hook:
        mail_channel(box.port).save(f"{name}-mail", _sync=True)
        url = SecretStr(f"json://127.0.0.1:{hook.port}/{TOKEN}")
        ServiceChannel(url=url).save(f"{name}-chat", _sync=True)
        with engine.connect() as connection:
            connection.execute(
                text("UPDATE account SET channels = ARRAY[:mail, :chat] WHERE name = 'paper'"),
                {"mail": f"{name}-mail", "chat": f"{name}-chat"},
            )
            connection.execute(text("SELECT tell('k', 'order filled', 'paper', 'dip: order filled', 'all')"))
        named = channels(HubSettings.load({}))
        for _ in range(2):
            Deliverer(Notifications(engine), named, ["log"]).deliver(threading.Event())
    engine.dispose()
    assert [(mail["Subject"], mail.get_content().strip()) for mail in box.mails] == [
        ("dip: order filled", "all")
    ]
    assert box.logins == ["desk"]
    assert [(path, each["title"]) for (path, _, _), each in zip(hook.posted, hook.contents, strict=True)] == [
        (f"/{TOKEN}", "dip: order filled")
    ]


def test_a_block_shows_no_secret(prefect_api: str, name: str) -> None:
    mail = mail_channel(25)
    service = ServiceChannel(url=SecretStr(f"json://127.0.0.1/{TOKEN}"))
    assert PASSWORD not in f"{mail!r}{mail}{mail.channel()!r}"
    assert TOKEN not in f"{service!r}{service}{service.channel()!r}"
    with pytest.raises(ValidationError, match="receivers"):
        MailChannel(host="h", sender="desk@example.org", receivers=[])


def test_a_name_must_be_of_one_block(prefect_api: str, name: str) -> None:
    with pytest.raises(InputRefused, match=f"{name!r}: expected one Missiondesk Mail Channel or .*, got 0"):
        channel_of_block(name)
    mail_channel(25).save(name, _sync=True)
    channel_of_block(name)
    ServiceChannel(url=SecretStr("json://127.0.0.1")).save(name, _sync=True)
    with pytest.raises(InputRefused, match="got 2"):
        channel_of_block(name)


@pytest.mark.parametrize("api", ["", "http://127.0.0.1:{port}/api"])
def test_without_prefect_it_waits(api: str, name: str) -> None:
    with (
        temporary_settings({PREFECT_API_URL: api.format(port=free_port()) or None}),
        pytest.raises(NotSent, match=r"PREFECT_API_URL|does not answer"),
    ):
        channel_of_block(name)
