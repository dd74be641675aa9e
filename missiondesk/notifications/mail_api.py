"""Mail by an HTTP API."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr

from missiondesk.notifications.channel import NotSent, without
from missiondesk.notifications.message import Message

_SECONDS = 10.0
_LONGEST_SHOWN = 200


@dataclass(frozen=True)
class MailApiChannel:
    """Posts `{"from", "to", "subject", "text"}` to `url`; `signing_key` signs the body where it is given."""

    url: SecretStr
    key: SecretStr
    signing_key: SecretStr | None
    sender: str
    receivers: tuple[str, ...]

    def __post_init__(self) -> None:
        logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs addresses, which may hold a token

    def send(self, message: Message) -> None:
        """An API that knows idempotency keys drops a message that comes a second time."""
        content = {
            "from": self.sender,
            "to": list(self.receivers),
            "subject": message.subject,
            "text": message.text,
        }
        body = json.dumps(content).encode()
        headers = {
            "Authorization": f"Bearer {self.key.get_secret_value()}",
            "Content-Type": "application/json",
            "Idempotency-Key": message.key,
        }
        if self.signing_key is not None:
            key = self.signing_key.get_secret_value().encode()
            headers["X-Missiondesk-Signature"] = hmac.new(key, body, hashlib.sha256).hexdigest()
        url = self.url.get_secret_value()
        try:
            answer = httpx.post(url, content=body, headers=headers, timeout=_SECONDS)
        except httpx.HTTPError as error:
            raise self._not_sent(f"does not answer: {error}") from None
        if not answer.is_success:
            raise self._not_sent(f"answered {answer.status_code}: {answer.text}")

    def _not_sent(self, said: str) -> NotSent:
        secrets = [self.key.get_secret_value(), self.url.get_secret_value()]
        # Cut afterwards: a secret at the cut would be known by its first part no more.
        shown = without(secrets, said)[:_LONGEST_SHOWN]
        return NotSent(f"the mail API at {urlsplit(secrets[1]).hostname} {shown}")
