"""Keys of an exchange account. They are handed to the venue's client and shown nowhere."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Final

from pydantic import BaseModel, ConfigDict, SecretStr

from models.errors import CredentialsRefused

ENVIRONMENT: Final = "environment"
"""What an account's `credentials` says when its keys are in the environment; else it names a block."""


class Credentials(BaseModel):
    """`passphrase` is a third secret that some venues ask for (OKX)."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    key: SecretStr
    secret: SecretStr
    passphrase: SecretStr | None = None

    @property
    def texts(self) -> tuple[str, ...]:
        """Every secret in the clear, to hand to the venue or to find it in a text that must not hold it."""
        secrets = (self.key, self.secret, self.passphrase)
        return tuple(secret.get_secret_value() for secret in secrets if secret is not None)

    def for_ccxt(self) -> dict[str, str]:
        """In the clear, by ccxt's names."""
        return dict(zip(("apiKey", "secret", "password"), self.texts, strict=False))


def credentials_from_environment(account: str, environ: Mapping[str, str] = os.environ) -> Credentials:
    """From MISSIONDESK_<ACCOUNT>_API_KEY, _API_SECRET and, where the venue wants one, _API_PASSPHRASE.

    ACCOUNT is the account's name in capitals with `_` for all but letters and digits.
    Raises CredentialsRefused with the names of the variables that are missing.
    """
    prefix = f"MISSIONDESK_{re.sub('[^A-Z0-9]', '_', account.upper())}_API"
    given = {name: environ.get(f"{prefix}_{name}", "") for name in ("KEY", "SECRET", "PASSPHRASE")}
    missing = [f"{prefix}_{name}" for name in ("KEY", "SECRET") if not given[name]]
    if missing:
        raise CredentialsRefused(
            f"account {account!r} takes its keys from the environment: expected {' and '.join(missing)}, "
            "got nothing; set them where the worker starts"
        )
    return Credentials(
        key=SecretStr(given["KEY"]),
        secret=SecretStr(given["SECRET"]),
        passphrase=SecretStr(given["PASSPHRASE"]) if given["PASSPHRASE"] else None,
    )
