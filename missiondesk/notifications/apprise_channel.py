"""Whatever Apprise reaches: Slack, Telegram, Discord, Matrix, plain webhooks and a hundred others."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote

import apprise
from pydantic import SecretStr

from missiondesk.notifications.channel import NotSent, without
from missiondesk.notifications.message import Message

_apprise_log = logging.getLogger("apprise")


class AppriseChannel:
    """Sends to the service that an Apprise `url` names. Whatever of the url stands in an error is hidden."""

    def __init__(self, url: SecretStr) -> None:
        self._url = url
        # Both log addresses, of which the token is a part, once someone asks for details.
        _apprise_log.setLevel(logging.WARNING)
        _apprise_log.propagate = False
        logging.getLogger("urllib3").setLevel(logging.INFO)

    def send(self, message: Message) -> None:
        with _listening_to_apprise() as said:
            service = apprise.Apprise.instantiate(self._url.get_secret_value())
            if service is None:
                raise self._not_sent("expected an Apprise URL (https://appriseit.com/services)", said)
            service.overflow_mode = apprise.OverflowMode.SPLIT
            kind = apprise.NotifyType.SUCCESS if message.is_good else apprise.NotifyType.FAILURE
            sender = apprise.Apprise(asset=apprise.AppriseAsset(app_id="missiondesk"))
            sender.add(service)
            if not sender.notify(body=message.text, title=message.subject, notify_type=kind):
                raise self._not_sent(f"{service.service_name} took no message", said)

    def _not_sent(self, problem: str, said: list[str]) -> NotSent:
        url = self._url.get_secret_value()
        parts = {part for text in (url, unquote(url)) for part in re.split(r"[/:@?&=,]+", text)}
        scheme, _, _ = url.partition("://")
        return NotSent(without([url, *parts - {scheme}], ": ".join([problem, *said])))


@contextmanager
def _listening_to_apprise() -> Iterator[list[str]]:
    """What Apprise warns of in this thread while the block lasts."""
    said: list[str] = []
    thread = threading.get_ident()

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.thread == thread:
                said.append(record.getMessage())

    handler = Keep(logging.WARNING)
    _apprise_log.addHandler(handler)
    try:
        yield said
    finally:
        _apprise_log.removeHandler(handler)
