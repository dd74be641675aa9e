"""Blocks on a real Prefect server: configuration in, a missiondesk object out, secrets never shown."""

from __future__ import annotations

from uuid import uuid4

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings
from pydantic import SecretStr
from sqlalchemy import text

from blocks.database import Database
from blocks.exchange_account import ExchangeAccount, credentials_of
from models.account import Account
from models.errors import CredentialsRefused, ExchangeUnreachable

pytestmark = pytest.mark.prefect


def test_an_accounts_keys_come_from_its_block(prefect_api: str) -> None:
    name = f"keys-{uuid4().hex[:8]}"
    ExchangeAccount(key=SecretStr("the key"), secret=SecretStr("the secret")).save(name, _sync=True)
    found = credentials_of(Account(name="mine", credentials=name))
    assert found is not None
    assert found.texts == ("the key", "the secret")
    assert "the secret" not in repr(found) + str(found)


def test_a_block_that_does_not_exist_is_named(prefect_api: str) -> None:
    with pytest.raises(CredentialsRefused, match=r"'nowhere'.*create a Missiondesk Exchange Account block"):
        credentials_of(Account(name="mine", credentials="nowhere"))


def test_while_prefect_does_not_answer_its_keys_can_be_asked_for_later() -> None:
    account = Account(name="mine", credentials="anywhere")
    away = temporary_settings({PREFECT_API_URL: "http://127.0.0.1:1/api"})
    with away, pytest.raises(ExchangeUnreachable, match=r"'mine'.*'anywhere'.*server does not answer"):
        credentials_of(account)


def test_keys_from_the_environment_name_the_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    account = Account(name="my desk", credentials="environment")
    with pytest.raises(CredentialsRefused, match="MISSIONDESK_MY_DESK_API_KEY"):
        credentials_of(account)
    monkeypatch.setenv("MISSIONDESK_MY_DESK_API_KEY", "k")
    monkeypatch.setenv("MISSIONDESK_MY_DESK_API_SECRET", "s")
    found = credentials_of(account)
    assert found is not None
    assert found.texts == ("k", "s")


def test_a_paper_account_needs_no_keys() -> None:
    assert credentials_of(Account(name="paper")) is None


def test_the_database_block_opens_the_database(database_url: str) -> None:
    engine = Database(url=SecretStr(database_url)).engine()
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM mission")) == 0
    engine.dispose()
