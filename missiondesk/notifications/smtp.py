"""Mail by SMTP."""

from __future__ import annotations

import logging
import smtplib
import ssl
from contextlib import closing, suppress
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Literal

from pydantic import SecretStr

from missiondesk.notifications.channel import NotSent, without
from missiondesk.notifications.message import Message

log = logging.getLogger(__name__)

Security = Literal["starttls", "tls", "none"]

_SECONDS = 10.0


@dataclass(frozen=True)
class SmtpChannel:
    """`security` none is for a server on this machine. With a `user` it logs in, with `password`."""

    host: str
    port: int
    security: Security
    user: str | None
    password: SecretStr | None
    sender: str
    receivers: tuple[str, ...]

    def send(self, message: Message) -> None:
        """A server that knows Message-IDs drops a message that comes a second time."""
        mail = EmailMessage()
        mail["From"], mail["To"] = self.sender, ", ".join(self.receivers)
        mail["Subject"] = message.subject
        mail["Message-ID"] = f"<{message.key}@missiondesk>"
        mail.set_content(message.text)
        try:
            with closing(self._connected()) as server:
                if self.user is not None:
                    server.login(self.user, self._password)
                refused = server.send_message(mail)
                with suppress(OSError, smtplib.SMTPException):  # the mail is taken, whatever comes now
                    server.quit()
        except (OSError, smtplib.SMTPException) as error:
            told = without([self._password], _said(error))
            raise NotSent(f"{self.host}:{self.port} took no mail: {told}") from None
        if refused:
            log.warning("%s:%s took a mail, but not for %s", self.host, self.port, ", ".join(refused))

    @property
    def _password(self) -> str:
        return self.password.get_secret_value() if self.password is not None else ""

    def _connected(self) -> smtplib.SMTP:
        if self.security == "tls":
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(self.host, self.port, timeout=_SECONDS, context=context)
        server = smtplib.SMTP(self.host, self.port, timeout=_SECONDS)
        if self.security == "starttls":
            try:
                server.starttls(context=ssl.create_default_context())
            except (OSError, smtplib.SMTPException):
                server.close()
                raise
        return server


def _said(error: Exception) -> str:
    if not isinstance(error, smtplib.SMTPResponseException):
        return str(error)
    words = error.smtp_error
    return f"{error.smtp_code} {words.decode(errors='replace') if isinstance(words, bytes) else words}"
