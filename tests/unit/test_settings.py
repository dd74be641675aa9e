"""Settings: what they default to, and how a wrong one names itself."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from missiondesk.settings import Environment, ExchangeChoice, Settings
from models.errors import InvalidSetting


def test_nothing_set_means_an_embedded_database_in_the_users_home() -> None:
    settings = Settings.load({})
    assert settings.home == Path.home() / ".missiondesk"
    assert settings.embedded
    expected = f"postgresql://postgres@/missiondesk?host={settings.home}/postgres"
    assert settings.database_url.get_secret_value() == expected
    assert settings.environment is Environment.DEV
    assert settings.exchange is None


def test_an_empty_value_counts_as_not_set() -> None:
    assert Settings.load({"MISSIONDESK_DATABASE_URL": "", "MISSIONDESK_HOME": ""}) == Settings.load({})


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg2"])
def test_a_given_database_is_used_in_the_form_that_every_driver_reads(scheme: str) -> None:
    settings = Settings.load(
        {"MISSIONDESK_DATABASE_URL": f"{scheme}://me:pa%40ss@db:5433/desk?sslmode=require"}
    )
    assert not settings.embedded
    assert settings.database_url.get_secret_value() == "postgresql://me:pa%40ss@db:5433/desk?sslmode=require"


def test_settings_never_show_the_password() -> None:
    settings = Settings.load({"MISSIONDESK_DATABASE_URL": "postgresql://me:geheim@db/desk"})
    assert "geheim" not in repr(settings)
    assert "geheim" not in str(settings)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://me:geheim@db/desk",
        "postgres://me:geheim@db/desk",
        "postgresql+asyncpg://me:geheim@db/desk",
        "postgresql://me:geheim@db:port/desk",
        "postgresql://me:geheim@db:99999/desk",
        "postgresql://me:geheim@db",
        "postgresql://me:geheim@db/",
        "postgresql://me:gehe/im@db/desk?sslmode",
        "me:geheim@db/desk",
        "postgresql://db/?password=geheim",
        "desk",
    ],
)
def test_a_malformed_database_url_names_itself_without_its_password(url: str) -> None:
    with pytest.raises(InvalidSetting) as refused:
        Settings.load({"MISSIONDESK_DATABASE_URL": url})
    message = str(refused.value)
    assert message.startswith("MISSIONDESK_DATABASE_URL: expected postgresql://")
    assert "got" in message
    assert "geheim" not in message
    assert "gehe/im" not in message


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("MISSIONDESK_HOME", "desk", "expected an absolute path, got 'desk'"),
        ("MISSIONDESK_HOME", f"/{'x' * 100}", "expected a short path"),
        ("MISSIONDESK_ENVIRONMENT", "production", "'dev' or 'pro'"),
        ("MISSIONDESK_EXCHANGE", "mtgox", "'kraken' or 'sandbox'"),
        ("MISSIONDESK_PREFECT_PORT", "0", "greater than or equal to 1, got '0'"),
        ("MISSIONDESK_CONSOLE_PORT", "http", "got 'http'"),
        ("MISSIONDESK_PAPER_PARTICIPATION", "1.5", "less than or equal to 1"),
        ("LOG_LEVEL", "loud", "'DEBUG'"),
    ],
)
def test_a_wrong_setting_names_itself_and_what_was_expected(name: str, value: str, expected: str) -> None:
    with pytest.raises(InvalidSetting) as refused:
        Settings.load({name: value})
    assert str(refused.value).startswith(f"{name}: ")
    assert expected in str(refused.value)


def test_all_wrong_settings_are_told_at_once() -> None:
    with pytest.raises(InvalidSetting) as refused:
        Settings.load({"MISSIONDESK_ENVIRONMENT": "x", "MISSIONDESK_PREFECT_PORT": "y"})
    assert len(str(refused.value).splitlines()) == 2


def test_the_longest_home_that_fits_is_accepted() -> None:
    longest = 107 - len("/postgres/.s.PGSQL.5432")
    Settings.load({"MISSIONDESK_HOME": "/" + "x" * (longest - 1)})
    with pytest.raises(InvalidSetting, match="1 too long"):
        Settings.load({"MISSIONDESK_HOME": "/" + "x" * longest})


def test_a_long_home_is_fine_with_a_database_elsewhere() -> None:
    long = f"/{'x' * 150}"
    Settings.load({"MISSIONDESK_HOME": long, "MISSIONDESK_DATABASE_URL": "postgresql://db/desk"})


def test_a_secret_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    settings = Settings.load(
        {"MISSIONDESK_HOME": str(tmp_path), "MISSIONDESK_DATABASE_URL": "postgresql://db/desk"}
    )
    with ThreadPoolExecutor(8) as threads:
        made = {token.get_secret_value() for token in threads.map(lambda _: settings.api_token, range(8))}
    assert len(made) == 1
    assert stat.S_IMODE((tmp_path / "secrets" / "api_token").stat().st_mode) == 0o600
    assert list((tmp_path / "secrets").iterdir()) == [tmp_path / "secrets" / "api_token"]


def test_the_encryption_key_is_one_that_fernet_takes(tmp_path: Path) -> None:
    settings = Settings.load(
        {"MISSIONDESK_HOME": str(tmp_path), "MISSIONDESK_DATABASE_URL": "postgresql://db/desk"}
    )
    Fernet(settings.prefect_encryption_key.get_secret_value())


@pytest.mark.parametrize(("mode", "content"), [(0o644, "token"), (0o600, "")])
def test_a_secret_that_others_can_read_or_that_is_empty_is_refused(
    tmp_path: Path, mode: int, content: str
) -> None:
    settings = Settings.load(
        {"MISSIONDESK_HOME": str(tmp_path), "MISSIONDESK_DATABASE_URL": "postgresql://db/desk"}
    )
    path = tmp_path / "secrets" / "api_token"
    path.parent.mkdir()
    path.write_text(content)
    path.chmod(mode)
    with pytest.raises(InvalidSetting, match=str(path)):
        _ = settings.api_token


def test_the_exchange_choice_is_read() -> None:
    assert Settings.load({"MISSIONDESK_EXCHANGE": "sandbox"}).exchange is ExchangeChoice.SANDBOX
