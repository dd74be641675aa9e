"""From names and environments to exchanges and keys."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import SecretStr

from missiondesk.desk import Desk
from missiondesk.exchanges.ccxt_exchange import CcxtExchange
from missiondesk.exchanges.credentials import Credentials, credentials_from_environment
from missiondesk.exchanges.open import check_takes_orders, open_exchange
from missiondesk.exchanges.order_checks import order_problem
from missiondesk.settings import Settings
from models.account import Account
from models.errors import CredentialsRefused, InvalidSetting, UnknownName, VenueClosed
from models.order import OrderType
from tests.tape_venue import BITCOIN


def settings(**environ: str) -> Settings:
    return Settings.load({"MISSIONDESK_DATABASE_URL": "postgresql://localhost/desk", **environ})


@pytest.mark.parametrize("name", ["kraken", "okx", "krakenfutures", "bitstamp"])
def test_an_exchange_is_opened_by_its_name_without_asking_anyone(name: str) -> None:
    assert open_exchange(name, settings()).name == name


@pytest.mark.parametrize("name", ["sandbox", "sandbox_okx", "sandbox_bitmex"])
def test_the_sandbox_is_where_the_settings_say(name: str) -> None:
    exchange = open_exchange(name, settings(MISSIONDESK_EXCHANGE_URL="http://127.0.0.1:1"))
    assert isinstance(exchange, CcxtExchange)
    assert exchange.name == name


def test_a_sandbox_without_an_address_names_the_setting() -> None:
    with pytest.raises(InvalidSetting, match="MISSIONDESK_EXCHANGE_URL"):
        open_exchange("sandbox", settings())


@pytest.mark.parametrize(
    ("given", "meant"), [("krakn", "kraken"), ("Kraken", "kraken"), ("sandbx", "sandbox"), ("okex", "okx")]
)
def test_an_unknown_name_is_answered_with_the_likeliest_ones(given: str, meant: str) -> None:
    with pytest.raises(UnknownName) as raised:
        open_exchange(given, settings())
    assert meant in raised.value.existing


def test_a_closed_venue_says_so() -> None:
    with pytest.raises(VenueClosed, match="krakenfutures"):
        open_exchange("bitmex", settings())


@pytest.mark.parametrize("name", ["kraken", "okx", "krakenfutures", "sandbox_bitmex", "bitstamp", "gemini"])
def test_live_orders_go_where_they_can_be_followed(name: str) -> None:
    check_takes_orders(name)


@pytest.mark.parametrize(
    ("name", "lacking"),
    [("upbit", "fetchMyTrades or fetchOrders"), ("blofin", "fetchOrder"), ("bydfi", "cancelOrder")],
)
def test_a_desk_refuses_live_orders_at_an_exchange_that_can_not_tell_of_them_and_trades_there_on_paper(
    name: str, lacking: str
) -> None:
    keys = Credentials(key=SecretStr("a key"), secret=SecretStr("a secret"))
    desk = Desk(settings(), lambda account: keys)
    account = Account(name="main", exchange=name)
    assert desk._trading(account, "paper")
    with pytest.raises(VenueClosed, match=lacking):
        desk._trading(account, "live")


def test_nothing_imports_ccxt_before_it_is_needed() -> None:
    code = (
        "import sys, missiondesk.exchanges.open as place, missiondesk.settings as of; "
        "place.open_exchange('kraken', of.Settings.load({'MISSIONDESK_DATABASE_URL': 'postgresql://h/d'})); "
        "sys.exit('ccxt' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2]).returncode == 0


class TestCredentials:
    def test_they_come_from_the_environment_by_the_accounts_name(self) -> None:
        environ = {
            "MISSIONDESK_MY_KRAKEN_2_API_KEY": "a key",
            "MISSIONDESK_MY_KRAKEN_2_API_SECRET": "a secret",
        }
        credentials = credentials_from_environment("my-kraken 2", environ)
        assert credentials.texts == ("a key", "a secret")
        assert credentials.passphrase is None

    def test_a_passphrase_is_taken_where_there_is_one(self) -> None:
        environ = {f"MISSIONDESK_OKX_API_{name}": name.lower() for name in ("KEY", "SECRET", "PASSPHRASE")}
        assert credentials_from_environment("okx", environ).texts == ("key", "secret", "passphrase")

    def test_what_is_missing_is_named(self) -> None:
        with pytest.raises(CredentialsRefused, match="MISSIONDESK_MAIN_API_SECRET") as raised:
            credentials_from_environment("main", {"MISSIONDESK_MAIN_API_KEY": "the-key"})
        assert "the-key" not in str(raised.value)

    def test_they_are_never_shown(self) -> None:
        environ = {"MISSIONDESK_MAIN_API_KEY": "the-key", "MISSIONDESK_MAIN_API_SECRET": "the-secret"}
        credentials = credentials_from_environment("main", environ)
        assert "the-" not in f"{credentials} {credentials!r} {credentials.model_dump_json()}"


@pytest.mark.parametrize(
    ("type", "amount", "price", "leverage", "said"),
    [
        ("market", "0.01", None, None, None),
        ("limit", "0.01", "100.1", None, None),
        ("market", "0.01", None, "1", None),
        ("market", "0.01", "100", None, "no price"),
        ("limit", "0.01", None, None, "a price"),
        ("market", "0.01005", None, None, "steps of 0.0001"),
        ("market", "0.0009", None, None, "at least 0.001"),
        ("market", "0", None, None, "steps"),
        ("market", "-1", None, None, "steps"),
        ("limit", "0.01", "100.05", None, "steps of 0.1"),
        ("limit", "0.01", "-1", None, "steps of 0.1"),
        ("market", "0.01", None, "3", "no leverage"),
    ],
)
def test_what_no_venue_takes_is_told_before_it_is_sent(
    type: OrderType, amount: str, price: str | None, leverage: str | None, said: str | None
) -> None:
    problem = order_problem(
        BITCOIN,
        type,
        Decimal(amount),
        None if price is None else Decimal(price),
        None if leverage is None else Decimal(leverage),
    )
    assert (problem is None) if said is None else (problem is not None and said in problem)
