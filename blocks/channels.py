"""Channels by which people are told what happens, as blocks."""

from __future__ import annotations

import httpx
from prefect.blocks.core import Block
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound, PrefectException
from prefect.settings import PREFECT_API_URL
from pydantic import Field, SecretStr

from missiondesk.notifications.apprise_channel import AppriseChannel
from missiondesk.notifications.channel import Channel, NotSent
from missiondesk.notifications.smtp import Security, SmtpChannel
from models.errors import InputRefused


class MailChannel(Block):
    """Mail by an SMTP server."""

    _block_type_name = "Missiondesk Mail Channel"
    _block_type_slug = "missiondesk-mail-channel"
    _description = "An SMTP server, and who gets missiondesk's notifications by mail."

    host: str = Field(description="The SMTP server")
    port: int = Field(default=587, ge=1, le=65535)
    security: Security = Field(default="starttls", description="none is for a server on this machine")
    user: str | None = Field(default=None, description="Whom to log in as; empty: nobody")
    password: SecretStr | None = Field(default=None, description="The user's password")
    sender: str = Field(description="The address that mails come from")
    receivers: list[str] = Field(min_length=1, description="The addresses that mails go to")

    def channel(self) -> Channel:
        return SmtpChannel(
            host=self.host,
            port=self.port,
            security=self.security,
            user=self.user,
            password=self.password,
            sender=self.sender,
            receivers=tuple(self.receivers),
        )


class ServiceChannel(Block):
    """A service that Apprise reaches."""

    _block_type_name = "Missiondesk Apprise Channel"
    _block_type_slug = "missiondesk-apprise-channel"
    _description = "A Slack, Telegram, Discord or other service that gets missiondesk's notifications."

    url: SecretStr = Field(description="As https://appriseit.com/services has it: slack://…, tgram://…")

    def channel(self) -> Channel:
        return AppriseChannel(self.url)


_ChannelBlock = MailChannel | ServiceChannel

CHANNEL_BLOCKS: tuple[type[_ChannelBlock], ...] = (MailChannel, ServiceChannel)


def channel_of_block(name: str) -> Channel:
    """The channel that the block of this name configures, as it is now.

    Raises InputRefused when there is none, or more than one; NotSent when Prefect's server does not answer.
    """
    if not PREFECT_API_URL.value():
        raise NotSent(
            f"channel {name!r} is a block in Prefect: expected PREFECT_API_URL to be set, got nothing"
        )
    try:
        found = [block for kind in CHANNEL_BLOCKS if (block := _block(kind, name)) is not None]
    except (PrefectException, httpx.HTTPError) as error:
        raise NotSent(f"Prefect's server does not answer: {error}") from None
    if len(found) != 1:
        kinds = " or ".join(kind.get_block_type_name() for kind in CHANNEL_BLOCKS)
        raise InputRefused(
            f"channel {name!r}: expected one {kinds} block of that name in Prefect, got {len(found)}; "
            "log and mail are channels without a block"
        )
    return found[0].channel()


def _block(kind: type[_ChannelBlock], name: str) -> _ChannelBlock | None:
    with get_client(sync_client=True) as client:
        try:
            document = client.read_block_document_by_name(
                name, kind.get_block_type_slug(), include_secrets=True
            )
        except ObjectNotFound:
            return None
    block: _ChannelBlock = kind._from_block_document(document)
    return block
