"""What has to be set for mails, and in the pro environment; and that a part of it stops the start."""

from __future__ import annotations

import pytest

from missiondesk.components.settings import HubSettings
from models.errors import InvalidSetting

SMTP = {
    "MISSIONDESK_SMTP_HOST": "mail.example.org",
    "MISSIONDESK_MAIL_FROM": "desk@example.org",
    "MISSIONDESK_MAIL_TO": "one@example.org, two@example.org",
}
PRO = {
    "MISSIONDESK_ENVIRONMENT": "pro",
    "MISSIONDESK_SECRET_KEY": "k",
    "MISSIONDESK_ALLOWED_HOSTS": "desk.example.org",
}


def test_nothing_is_needed_without_mail():
    assert HubSettings.load({}).mail_to == ()


def test_all_that_smtp_needs():
    assert HubSettings.load(SMTP).mail_to == ("one@example.org", "two@example.org")


@pytest.mark.parametrize("missing", [*SMTP, *PRO])
def test_what_is_missing_is_named(missing: str):
    given = {name: value for name, value in {**SMTP, **PRO}.items() if name != missing}
    if missing == "MISSIONDESK_ENVIRONMENT":
        assert HubSettings.load(given).secret_key is not None
        return
    with pytest.raises(InvalidSetting, match=missing):
        HubSettings.load(given)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ("log",)),
        (SMTP, ("mail",)),
        ({"MISSIONDESK_CHANNELS": "ops-chat, log"}, ("ops-chat", "log")),
        ({**SMTP, "MISSIONDESK_CHANNELS": "ops-chat"}, ("ops-chat",)),
    ],
)
def test_the_desks_own_channels(given: dict[str, str], expected: tuple[str, ...]):
    assert HubSettings.load(given).desk_channels == expected


def test_the_channel_mail_needs_mail():
    with pytest.raises(InvalidSetting, match="MISSIONDESK_SMTP_HOST: expected a value, got none"):
        HubSettings.load({"MISSIONDESK_CHANNELS": "log, mail"})


def test_the_mail_api_needs_its_key():
    given = {**SMTP, "MISSIONDESK_MAIL_API_URL": "https://mail.example.org/send"}
    with pytest.raises(InvalidSetting, match="MISSIONDESK_MAIL_API_KEY"):
        HubSettings.load(given)
    with pytest.raises(InvalidSetting, match="MISSIONDESK_MAIL_API_URL"):
        HubSettings.load({**given, "MISSIONDESK_MAIL_API_URL": "ftp://x"})


def test_secrets_are_not_shown():
    settings = HubSettings.load({**SMTP, "MISSIONDESK_SMTP_USER": "u", "MISSIONDESK_SMTP_PASSWORD": "hidden"})
    assert "hidden" not in repr(settings)
    hidden = {"MISSIONDESK_MAIL_API_URL": "https://x/?hidden", "MISSIONDESK_MAIL_API_KEY": "hidden"}
    assert "hidden" not in repr(HubSettings.load({**SMTP, **hidden}))
    with pytest.raises(InvalidSetting) as refused:
        HubSettings.load({**SMTP, **hidden, "MISSIONDESK_MAIL_API_URL": "hidden"})
    assert "hidden" not in str(refused.value)
