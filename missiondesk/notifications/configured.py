"""The channel `mail`, as the environment configures it."""

from __future__ import annotations

from pydantic import SecretStr

from missiondesk.components.settings import HubSettings
from missiondesk.notifications.channel import Channel
from missiondesk.notifications.mail_api import MailApiChannel
from missiondesk.notifications.smtp import SmtpChannel


def configured_mail(settings: HubSettings) -> Channel | None:
    """By the mail API if there is one, else by SMTP; None where no mail is configured."""
    if settings.mail_api_url is not None:
        return MailApiChannel(
            url=settings.mail_api_url,
            key=settings.mail_api_key or SecretStr(""),
            signing_key=settings.secret_key,
            sender=settings.mail_from,
            receivers=settings.mail_to,
        )
    if settings.smtp_host is not None:
        return SmtpChannel(
            host=settings.smtp_host,
            port=settings.smtp_port,
            security=settings.smtp_security,
            user=settings.smtp_user,
            password=settings.smtp_password,
            sender=settings.mail_from,
            receivers=settings.mail_to,
        )
    return None
