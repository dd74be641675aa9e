"""The keys of an exchange account as a block. Whether it is armed is a row in Postgres, not a block."""

from __future__ import annotations

import httpx
from prefect.blocks.core import Block
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound, PrefectException
from pydantic import Field, SecretStr

from missiondesk.exchanges.credentials import ENVIRONMENT, Credentials, credentials_from_environment
from models.account import Account
from models.errors import CredentialsRefused, ExchangeUnreachable


class ExchangeAccount(Block):
    """API keys of one account at one exchange."""

    _block_type_name = "Missiondesk Exchange Account"
    _block_type_slug = "missiondesk-exchange-account"
    _description = "API keys with which missiondesk trades at an exchange."

    key: SecretStr = Field(description="The API key")
    secret: SecretStr = Field(description="The API secret")
    passphrase: SecretStr | None = Field(default=None, description="The passphrase, where the venue has one")

    def credentials(self) -> Credentials:
        return Credentials(key=self.key, secret=self.secret, passphrase=self.passphrase)


def credentials_of(account: Account) -> Credentials | None:
    """The keys that an account's `credentials` names: a block, or `environment`; None when it names nothing.

    Raises CredentialsRefused with what is missing, ExchangeUnreachable while Prefect does not answer.
    """
    if not account.credentials:
        return None
    if account.credentials == ENVIRONMENT:
        return credentials_from_environment(account.name)
    try:
        with get_client(sync_client=True) as client:
            document = client.read_block_document_by_name(
                account.credentials, ExchangeAccount.get_block_type_slug(), include_secrets=True
            )
    except ObjectNotFound:
        raise CredentialsRefused(
            f"account {account.name!r} takes its keys from the block {account.credentials!r}, which does not "
            f"exist: create a {ExchangeAccount._block_type_name} block of that name in the Prefect UI"
        ) from None
    except (PrefectException, httpx.HTTPError, RuntimeError) as error:  # RuntimeError: its first look fails
        raise ExchangeUnreachable(
            f"account {account.name!r} takes its keys from the block {account.credentials!r}, and Prefect's "
            f"server does not answer: {error}"
        ) from None
    block: ExchangeAccount = ExchangeAccount._from_block_document(document)
    return block.credentials()
