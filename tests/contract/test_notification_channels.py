"""What every channel does: it hands a message over whole, or says that it did not, without its secrets."""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from missiondesk.notifications.apprise_channel import AppriseChannel
from missiondesk.notifications.channel import Channel, LogChannel, NotSent
from missiondesk.notifications.mail_api import MailApiChannel
from missiondesk.notifications.message import Message
from missiondesk.notifications.smtp import Security, SmtpChannel
from models.notification import Notification, NotificationKind
from tests.ports import free_port
from tests.receivers import Hook, Mailbox, certificate, http_server, smtp_server

PASSWORD = "the-password-of-the-desk"
TOKEN = "T0ken-0f-the-desk"
SMTP_KINDS = ("smtp", "smtp starttls", "smtp tls")
HTTP_KINDS = ("mail api", "apprise")
FAILING = (*SMTP_KINDS, *HTTP_KINDS)


def message(*subjects: str) -> Message:
    at = datetime(2026, 11, 22, 4, tzinfo=UTC)
    kind = NotificationKind.ORDER_FILLED
    return Message(
        tuple(
            Notification(
                id=number, kind=kind, account="main", subject=each, body=f"{each}: 0.5 ₿\ndone", created_at=at
            )
            for number, each in enumerate(subjects)
        )
    )


@dataclass
class Wire:
    """A channel, and what arrives at its other end."""

    channel: Channel
    arrived: Callable[[], list[tuple[str, str]]]
    keys: Callable[[], list[str]]
    refuse: Callable[[], None]


def smtp_channel(port: int, security: Security = "none", password: str | None = None) -> SmtpChannel:
    return SmtpChannel(
        host="127.0.0.1",
        port=port,
        security=security,
        user=None if password is None else "desk",
        password=None if password is None else SecretStr(password),
        sender="desk@example.org",
        receivers=("one@example.org", "two@example.org"),
    )


def smtp_wire(box: Mailbox, security: Security, password: str | None) -> Wire:
    return Wire(
        smtp_channel(box.port, security, password),
        arrived=lambda: [
            (str(mail["Subject"]), mail.get_content().replace("\r\n", "\n").strip()) for mail in box.mails
        ],
        keys=lambda: [str(mail["Message-ID"]) for mail in box.mails],
        refuse=lambda: setattr(box, "refusals", 1),
    )


def http_wire(hook: Hook, channel: Channel, subject: str, text: str) -> Wire:
    def refuse() -> None:
        hook.status, hook.words = 503, f"no, {TOKEN} is tired"

    return Wire(
        channel,
        arrived=lambda: [(each[subject], each[text].strip()) for each in hook.contents],
        keys=lambda: [headers.get("Idempotency-Key", "") for _, headers, _ in hook.posted],
        refuse=refuse,
    )


@pytest.fixture
def open_wire(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Wire]]:
    context, trusted = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    with ExitStack() as stack:

        def made(kind: str) -> Wire:
            match kind:
                case "smtp":
                    return smtp_wire(stack.enter_context(smtp_server()), "none", None)
                case "smtp starttls":
                    box = stack.enter_context(smtp_server(starttls=context, logins={"desk": PASSWORD}))
                    return smtp_wire(box, "starttls", PASSWORD)
                case "smtp tls":
                    return smtp_wire(stack.enter_context(smtp_server(tls=context)), "tls", None)
                case "mail api":
                    hook = stack.enter_context(http_server())
                    return http_wire(hook, api_channel(hook.port), "subject", "text")
                case _:
                    hook = stack.enter_context(http_server())
                    return http_wire(hook, apprise_channel(hook.port), "title", "message")

        yield made


def api_channel(port: int) -> MailApiChannel:
    return MailApiChannel(
        url=SecretStr(f"http://127.0.0.1:{port}/send?account={PASSWORD}"),
        key=SecretStr(TOKEN),
        signing_key=SecretStr("signs"),
        sender="desk@example.org",
        receivers=("one@example.org",),
    )


def apprise_channel(port: int) -> AppriseChannel:
    return AppriseChannel(SecretStr(f"json://desk:{PASSWORD}@127.0.0.1:{port}/hooks/{TOKEN}"))


def unreachable(kind: str) -> Channel:
    port = free_port()
    if kind in HTTP_KINDS:
        return api_channel(port) if kind == "mail api" else apprise_channel(port)
    return smtp_channel(port, "tls" if kind == "smtp tls" else "none", PASSWORD)


@pytest.fixture(autouse=True)
def every_log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.WARNING, "mail.log")  # the SMTP server's own
    caplog.set_level(logging.DEBUG)
    return caplog


def has_no_secrets(text: str) -> bool:
    return not any(secret in text for secret in (PASSWORD, TOKEN))


@pytest.mark.parametrize("kind", FAILING)
def test_a_message_arrives_whole(open_wire: Callable[[str], Wire], kind: str, every_log) -> None:
    wire = open_wire(kind)
    wire.channel.send(message("dip: order\nfilled"))
    assert wire.arrived() == [("dip: order filled", "dip: order\nfilled: 0.5 ₿\ndone")]
    assert has_no_secrets(every_log.text)


@pytest.mark.parametrize("kind", FAILING)
def test_several_notifications_are_one_message(open_wire: Callable[[str], Wire], kind: str) -> None:
    wire = open_wire(kind)
    wire.channel.send(message("first", "second", "third"))
    ((subject, text),) = wire.arrived()
    assert subject == "first (and 2 more)"
    assert [each in text for each in ("first: 0.5 ₿", "second: 0.5 ₿", "third: 0.5 ₿")] == [True] * 3


@pytest.mark.parametrize("kind", (*SMTP_KINDS, "mail api"))
def test_the_same_message_is_known_by_its_key(open_wire: Callable[[str], Wire], kind: str) -> None:
    wire = open_wire(kind)
    for each in (message("first"), message("first"), message("first", "second")):
        wire.channel.send(each)
    first, again, other = wire.keys()
    assert first == again != other


@pytest.mark.parametrize("kind", FAILING)
def test_a_refusal_is_said_without_secrets(open_wire: Callable[[str], Wire], kind: str, every_log) -> None:
    wire = open_wire(kind)
    wire.refuse()
    with pytest.raises(NotSent) as refused:
        wire.channel.send(message("first"))
    assert wire.arrived() == []
    assert "451 try again later" in str(refused.value) or "503" in str(refused.value)
    assert has_no_secrets(f"{refused.value!r}{every_log.text}")


def test_an_answer_is_cut_behind_its_secrets() -> None:
    with http_server() as hook:
        hook.status, hook.words = 503, f"{'x' * 190}{TOKEN} is refused"
        with pytest.raises(NotSent, match="answered 503: x") as refused:
            api_channel(hook.port).send(message("first"))
    assert TOKEN[:4] not in str(refused.value)


@pytest.mark.parametrize("kind", FAILING)
def test_nobody_there_is_said_without_secrets(kind: str, every_log) -> None:
    with pytest.raises(NotSent, match=r"127\.0\.0\.1|JSON") as refused:
        unreachable(kind).send(message("first"))
    assert has_no_secrets(f"{refused.value!r}{every_log.text}")


def test_a_wrong_password_is_said_without_it(
    open_wire: Callable[[str], Wire], every_log: pytest.LogCaptureFixture
) -> None:
    wire = open_wire("smtp starttls")
    assert isinstance(wire.channel, SmtpChannel)
    with pytest.raises(NotSent, match="535") as refused:
        replace(wire.channel, password=SecretStr(PASSWORD + TOKEN)).send(message("first"))
    assert wire.arrived() == []
    assert has_no_secrets(f"{refused.value!r}{every_log.text}")


def test_a_mail_that_was_taken_is_sent_whatever_follows(every_log: pytest.LogCaptureFixture) -> None:
    with smtp_server() as box:
        box.clinging = True
        receivers = ("one@example.org", "nobody@example.org")
        replace(smtp_channel(box.port), receivers=receivers).send(message("first"))
    assert len(box.mails) == 1
    assert "took a mail, but not for nobody@example.org" in every_log.text


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    context, _ = certificate(tmp_path)
    for security in ("starttls", "tls"):
        ways = {"starttls": context} if security == "starttls" else {"tls": context}
        with smtp_server(**ways) as box, pytest.raises(NotSent, match="CERTIFICATE_VERIFY_FAILED"):
            smtp_channel(box.port, security).send(message("first"))
        assert box.mails == []


def test_what_apprise_can_not_read_is_said_without_it(every_log) -> None:
    with pytest.raises(NotSent, match="expected an Apprise URL") as refused:
        AppriseChannel(SecretStr(f"nothing://{TOKEN}")).send(message("first"))
    assert has_no_secrets(f"{refused.value!r}{every_log.text}")


def test_the_log_has_a_line_for_each(every_log) -> None:
    LogChannel().send(message("first", "second"))
    assert [record.getMessage() for record in every_log.records] == [
        "[main] first: first: 0.5 ₿; done",
        "[main] second: second: 0.5 ₿; done",
    ]


def test_the_mail_api_gets_a_signature() -> None:
    with http_server() as hook:
        api_channel(hook.port).send(message("first"))
    ((_, headers, body),) = hook.posted
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    assert headers["X-Missiondesk-Signature"] == hmac.new(b"signs", body, hashlib.sha256).hexdigest()
