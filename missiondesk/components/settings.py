"""The settings of mail and of the desk's channels, and what the pro environment needs besides."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from missiondesk.settings import Environment, Port
from models.errors import InvalidSetting
from models.validation import problems_of


def _words(text: object) -> object:
    return tuple(word.strip() for word in text.split(",") if word.strip()) if isinstance(text, str) else text


def _http_url(url: SecretStr) -> SecretStr:
    if not url.get_secret_value().startswith(("http://", "https://")):
        raise ValueError("expected http://… or https://…, got something else")
    return url


Words = Annotated[tuple[str, ...], BeforeValidator(_words)]

_SMTP_NEEDS = ("MISSIONDESK_MAIL_FROM", "MISSIONDESK_MAIL_TO")
_API_NEEDS = ("MISSIONDESK_MAIL_API_KEY", *_SMTP_NEEDS)
_PRO_NEEDS = ("MISSIONDESK_SECRET_KEY", "MISSIONDESK_ALLOWED_HOSTS")


class HubSettings(BaseModel):
    """Frozen. Mail goes through the HTTP API of `mail_api_url` if that is set, else through `smtp_host`.

    `channels` are told of components, and of accounts without channels of their own; when empty, `mail` where
    mail is configured, else `log`. `secret_key` signs what is posted to the mail API; `allowed_hosts` are the
    Host headers that are served.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    environment: Environment = Field(default=Environment.DEV, alias="MISSIONDESK_ENVIRONMENT")
    smtp_host: str | None = Field(default=None, alias="MISSIONDESK_SMTP_HOST")
    smtp_port: Port = Field(default=587, alias="MISSIONDESK_SMTP_PORT")
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", alias="MISSIONDESK_SMTP_SECURITY"
    )
    smtp_user: str | None = Field(default=None, alias="MISSIONDESK_SMTP_USER")
    smtp_password: SecretStr | None = Field(default=None, alias="MISSIONDESK_SMTP_PASSWORD")
    mail_api_url: Annotated[SecretStr, AfterValidator(_http_url)] | None = Field(
        default=None, alias="MISSIONDESK_MAIL_API_URL"
    )
    mail_api_key: SecretStr | None = Field(default=None, alias="MISSIONDESK_MAIL_API_KEY")
    mail_from: str = Field(default="", alias="MISSIONDESK_MAIL_FROM")
    mail_to: Words = Field(default=(), alias="MISSIONDESK_MAIL_TO")
    channels: Words = Field(default=(), alias="MISSIONDESK_CHANNELS")
    secret_key: SecretStr | None = Field(default=None, alias="MISSIONDESK_SECRET_KEY")
    allowed_hosts: Words = Field(default=(), alias="MISSIONDESK_ALLOWED_HOSTS")

    @classmethod
    def load(cls, environ: Mapping[str, str] = os.environ) -> HubSettings:
        """Raises InvalidSetting with one line per setting that is wrong or missing.

        Once mail is configured all that it needs must be there; in the pro environment mail, a secret key and
        allowed hosts must be.
        """
        given = {name: value for name, value in environ.items() if value}
        try:
            settings = cls.model_validate(given)
        except ValidationError as error:
            problems = (f"{name}: {problem}" for name, problem in problems_of(error))
            raise InvalidSetting("\n".join(problems)) from None
        if missing := [name for name in settings._needs(given) if name not in given]:
            raise InvalidSetting("\n".join(f"{name}: expected a value, got none" for name in missing))
        return settings

    @property
    def desk_channels(self) -> tuple[str, ...]:
        mail = self.mail_api_url is not None or self.smtp_host is not None
        return self.channels or (("mail",) if mail else ("log",))

    def _needs(self, given: Mapping[str, str]) -> list[str]:
        pro = self.environment is Environment.PRO
        needs = list(_PRO_NEEDS) if pro else []
        if self.mail_api_url is not None:
            return [*needs, *_API_NEEDS]
        mail = any(name.startswith(("MISSIONDESK_SMTP_", "MISSIONDESK_MAIL_")) for name in given)
        if pro or mail or "mail" in self.channels:
            needs += ["MISSIONDESK_SMTP_HOST", *_SMTP_NEEDS]
            needs += ["MISSIONDESK_SMTP_PASSWORD"] if self.smtp_user else []
        return needs
