"""`missiondesk market exec` on the sandbox: on paper, live, stopped, killed, and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from console.verbs.market import market
from missiondesk.exchanges.sandbox.address import SANDBOX_KEY, SANDBOX_SECRET
from missiondesk.exchanges.sandbox.server import SandboxServer
from missiondesk.settings import Settings
from missiondesk.store.accounts import Accounts
from missiondesk.store.database import connect
from missiondesk.store.orders import TradeOrders
from missiondesk.store.strategy_runs import StrategyRuns
from models.account import Mode
from models.order import Order, OrderStatus

NAMES = "-msandbox:BTC/USD,sandbox:BTC/USDT"
THERE_AND_BACK = ("--open-above=-100000", "--close-above=-100000")
"""Both books are alike: it opens at once, and closes at once."""


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer() as started:
        yield started


@pytest.fixture
def environment(database_url: str, sandbox: SandboxServer, tmp_path: Path) -> dict[str, str]:
    return {
        "MISSIONDESK_HOME": str(tmp_path),
        "MISSIONDESK_DATABASE_URL": database_url,
        "MISSIONDESK_EXCHANGE": "sandbox",
        "MISSIONDESK_EXCHANGE_URL": sandbox.url,
        "MISSIONDESK_MINE_API_KEY": SANDBOX_KEY,
        "MISSIONDESK_MINE_API_SECRET": SANDBOX_SECRET,
    }


@pytest.fixture(autouse=True)
def accounts(database_url: str, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Accounts:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    made = Accounts(connect(database_url))
    limits = {"max_order_notional": Decimal(10**6), "max_daily_loss": Decimal(10**6)}
    money = {"USD": "1000000", "USDT": "1000000", "BTC": "10"}
    made.save({"name": "paper", "paper_balances": money})
    made.save({"name": "mine", "exchange": "sandbox", "credentials": "environment", **limits})
    made.arm("mine")
    made.save({"name": "elsewhere", "exchange": "okx"})
    return made


def executed(environment: dict[str, str], *arguments: str) -> Result:
    return CliRunner().invoke(market, [NAMES, *arguments, "exec"], obj=Settings.load(environment))


def orders_of(database_url: str, strategy: str, mode: Mode, account: str) -> list[Order]:
    engine = connect(database_url)
    legs = [f"sandbox:{symbol}@{account}" for symbol in ("BTC/USD", "BTC/USDT")]
    return TradeOrders(engine).of_run(StrategyRuns(engine).open(strategy, mode, legs))


def test_on_paper_it_opens_closes_and_goes_on_where_it_was(
    environment: dict[str, str], database_url: str
) -> None:
    first = executed(environment, *THERE_AND_BACK, "--quotes=10", "--seconds=60")
    assert first.exit_code == 0, first.output
    assert "diff trades paper: sandbox:BTC/USD as paper, sandbox:BTC/USDT as paper" in first.output
    assert "trade open sell sandbox:BTC/USD buy sandbox:BTC/USDT: spread -" in first.output
    assert "trade closed: earned -" in first.output
    before = orders_of(database_url, "diff", "paper", "paper")
    assert executed(environment, *THERE_AND_BACK, "--quotes=6", "--seconds=60").exit_code == 0
    orders = orders_of(database_url, "diff", "paper", "paper")
    assert len(orders) > len(before) >= 4
    assert [order.sequence for order in orders] == list(range(1, len(orders) + 1))
    assert {(order.status, order.filled, order.mission_id) for order in orders} == {
        (OrderStatus.FILLED, Decimal("0.01"), None)
    }
    for order in before:
        assert order.client_order_id in first.output


def test_an_armed_account_trades_live_and_its_keys_are_seen_nowhere(
    environment: dict[str, str], database_url: str, sandbox: SandboxServer
) -> None:
    result = executed(environment, "-d", "--account=mine", *THERE_AND_BACK, "--quotes=4", "--seconds=30")
    assert result.exit_code == 0, result.output
    assert "diff trades live: sandbox:BTC/USD as mine, sandbox:BTC/USDT as mine" in result.output
    orders = orders_of(database_url, "diff", "live", "mine")
    assert len(orders) >= 2
    assert {order.client_order_id for order in orders} == {
        (order.request.client_id or "").replace("-", "") for order in sandbox.sandbox.exchange.orders
    }
    for secret in (SANDBOX_KEY, SANDBOX_SECRET):
        assert secret not in result.output


def test_a_killed_hedge_is_settled_before_anything_new(
    environment: dict[str, str], database_url: str, sandbox: SandboxServer
) -> None:
    """Its maker's order rests for ever, as far as the killed process is concerned, unless it fills."""
    resting = ("-shedge", "--open-at=-1", "--close-at=-2", "--patience=600", "--account=mine")
    with subprocess.Popen(
        [Path(sys.executable).with_name("missiondesk"), "market", NAMES, *resting, "exec"],
        env={**os.environ, **environment, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert any(" order " in line for line in process.stdout)
        process.kill()
    assert orders_of(database_url, "hedge", "live", "mine")
    again = executed(environment, *resting, "--open-at=1", "--quotes=2", "--seconds=30")
    assert again.exit_code == 0, again.output
    orders = orders_of(database_url, "hedge", "live", "mine")
    assert all(order.status.is_final for order in orders)
    shown = sandbox.sandbox.exchange.orders
    assert all(order.status != "open" for order in shown)
    assert sorted((order.request.client_id or "").replace("-", "") for order in shown) == sorted(
        order.client_order_id for order in orders if order.exchange_order_id
    )


def test_sigterm_ends_it_as_ctrl_c_does_and_cancels_what_rests(
    environment: dict[str, str], database_url: str
) -> None:
    resting = ("-shedge", "--open-at=-1", "--close-at=-2", "--patience=600", "--account=mine")
    with subprocess.Popen(
        [Path(sys.executable).with_name("missiondesk"), "market", NAMES, *resting, "exec"],
        env={**os.environ, **environment, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert any(" order " in line for line in process.stdout)
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()
        assert process.wait(60) == 0
    assert " orders so far; it holds " in rest
    orders = orders_of(database_url, "hedge", "live", "mine")
    assert orders and all(order.status.is_final for order in orders)


def test_the_ticker_tells_and_stores_the_best_prices(environment: dict[str, str], database_url: str) -> None:
    result = executed(environment, "-sticker", "--quotes=4", "--seconds=30")
    assert result.exit_code == 0, result.output
    assert " price sandbox:BTC/USD bid " in result.output
    with connect(database_url).connect() as connection:
        stored = connection.execute(text("SELECT symbol, bid FROM quote ORDER BY id")).all()
    assert f"{len(stored)} quotes stored" in result.output
    assert {symbol for symbol, bid in stored if bid > 0} == {"BTC/USD", "BTC/USDT"}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--playback=http://127.0.0.1:1"], "expected exec without --playback"),
        (["--account=nobody"], "unknown account 'nobody'; existing: elsewhere, mine, paper"),
        (["--account=elsewhere"], "account elsewhere trades at okx, not at sandbox"),
        (["--account=mine"] * 3, "expected one account for all markets or one for each of 2, got 3"),
        (["--account=mine", "--account=paper"], "all armed or all not, got only mine armed"),
        (["-shedge", "--close-at=1"], "expected close_at below open_at 0.01, got 1"),
        (["--amount=0"], "expected a number above 0, got '0'"),
    ],
)
def test_what_does_not_go_together_is_refused(
    environment: dict[str, str], arguments: list[str], expected: str
) -> None:
    result = executed(environment, *arguments)
    assert result.exit_code == 2
    assert expected in " ".join(result.output.split())


def test_an_exchange_without_an_account_gets_one_of_play_money(accounts: Accounts) -> None:
    from missiondesk.strategies.accounts import accounts_for

    for _ in range(2):
        found, mode = accounts_for(["sandbox", "kraken"], [], accounts, "sandbox")
        assert ([account.name for account in found], mode) == (["paper", "paper-kraken"], "paper")
    assert accounts.get("paper-kraken").exchange == "kraken"


def test_without_a_named_account_nothing_is_live_whatever_is_armed(accounts: Accounts) -> None:
    from missiondesk.strategies.accounts import accounts_for

    accounts.save({"name": "paper", "max_order_notional": 1, "max_daily_loss": 1})
    accounts.arm("paper")
    assert accounts_for(["sandbox"], [], accounts, "sandbox")[1] == "paper"
    assert accounts_for(["sandbox"], ["paper"], accounts, "sandbox")[1] == "live"


def test_a_venue_that_does_not_answer_ends_it_with_2(environment: dict[str, str]) -> None:
    result = executed({**environment, "MISSIONDESK_EXCHANGE_URL": "http://127.0.0.1:9"})
    assert result.exit_code == 2
    assert "sandbox gives no answer" in result.output
