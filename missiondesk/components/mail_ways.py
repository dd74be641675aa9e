"""The two ways a mail leaves: SMTP, or an HTTP mail API."""

from __future__ import annotations

import hashlib
import hmac
import json
import smtplib
import ssl
from collections.abc import Callable
from email.message import EmailMessage

import httpx

from missiondesk.components.mails import Mail
from missiondesk.components.settings import HubSettings
from models.errors import RetryLater

SendMail = Callable[[Mail], None]

_SECONDS = 20.0


class MailNotSent(RetryLater):
    """The mail server did not take the mail; it is tried again."""


def way_to_send(settings: HubSettings) -> SendMail | None:
    """A blocking function that sends one mail or raises MailNotSent; None where no mail is configured."""
    if settings.mail_api_url is not None:
        return lambda mail: _post(settings, mail)
    if settings.smtp_host is not None:
        return lambda mail: _hand_over(settings, mail)
    return None


def _post(settings: HubSettings, mail: Mail) -> None:
    assert settings.mail_api_url is not None and settings.mail_api_key is not None
    content = {
        "from": settings.mail_from,
        "to": list(settings.mail_to),
        "subject": mail.subject,
        "text": mail.body,
    }
    body = json.dumps(content).encode()
    headers = {
        "Authorization": f"Bearer {settings.mail_api_key.get_secret_value()}",
        "Content-Type": "application/json",
        "Idempotency-Key": f"missiondesk-{mail.id}",
    }
    if settings.secret_key is not None:
        key = settings.secret_key.get_secret_value().encode()
        headers["X-Missiondesk-Signature"] = hmac.new(key, body, hashlib.sha256).hexdigest()
    try:
        answer = httpx.post(settings.mail_api_url, content=body, headers=headers, timeout=_SECONDS)
    except httpx.HTTPError as error:
        raise MailNotSent(f"{settings.mail_api_url} does not answer: {error}") from None
    if not answer.is_success:
        raise MailNotSent(f"{settings.mail_api_url} answered {answer.status_code}: {answer.text[:200]}")


def _hand_over(settings: HubSettings, mail: Mail) -> None:
    message = EmailMessage()
    message["From"], message["To"] = settings.mail_from, ", ".join(settings.mail_to)
    message["Subject"] = " ".join(mail.subject.split())
    message["Message-ID"] = f"<component-mail-{mail.id}@missiondesk>"
    message.set_content(mail.body)
    try:
        with _smtp(settings) as server:
            if settings.smtp_user is not None and settings.smtp_password is not None:
                server.login(settings.smtp_user, settings.smtp_password.get_secret_value())
            server.send_message(message)
    except (OSError, smtplib.SMTPException) as error:
        raise MailNotSent(f"{settings.smtp_host}:{settings.smtp_port} took no mail: {error}") from None


def _smtp(settings: HubSettings) -> smtplib.SMTP:
    assert settings.smtp_host is not None
    place = settings.smtp_host, settings.smtp_port
    if settings.smtp_security == "tls":
        return smtplib.SMTP_SSL(*place, timeout=_SECONDS, context=ssl.create_default_context())
    server = smtplib.SMTP(*place, timeout=_SECONDS)
    if settings.smtp_security == "starttls":
        server.starttls(context=ssl.create_default_context())
    return server
