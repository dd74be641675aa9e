"""Sends the mails that wait as rows, from one hub process or another."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from sqlalchemy import Engine

from missiondesk.components.mail_ways import MailNotSent, SendMail
from missiondesk.components.mails import Mails
from models.errors import DatabaseUnreachable

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0


@asynccontextmanager
async def mailing(engine: Engine, send: SendMail | None) -> AsyncIterator[None]:
    """Send mails while the block lasts; with None they stay rows."""
    sending = None if send is None else asyncio.create_task(send_mails(engine, send), name="mails")
    try:
        yield
    finally:
        if sending is not None:
            sending.cancel()
            with suppress(asyncio.CancelledError):
                await sending


async def send_mails(engine: Engine, send: SendMail) -> None:
    """Until cancelled. A mail that can't be sent is tried again every minute, for an hour."""
    mails = Mails(engine)
    while True:
        try:
            await asyncio.to_thread(_send_those_due, mails, send)
        except DatabaseUnreachable as error:
            log.warning("no mails are sent: %s", error)
        await asyncio.sleep(LOOK_SECONDS)


def _send_those_due(mails: Mails, send: SendMail) -> None:
    for mail in mails.take():
        try:
            send(mail)
        except MailNotSent as error:
            log.warning("mail %s waits: %s", mail.id, error)
            mails.failed(mail.id, str(error))
        else:
            mails.sent(mail.id)
