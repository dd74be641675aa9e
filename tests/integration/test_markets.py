"""Markets from Python, on the sandbox: prices, orders of a spot and a contract market, on paper and live."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import SecretStr

import missiondesk.markets.market
from missiondesk.desk import Desk
from missiondesk.exchanges.credentials import Credentials
from missiondesk.exchanges.sandbox.address import SANDBOX_KEY, SANDBOX_PASSPHRASE, SANDBOX_SECRET
from missiondesk.exchanges.sandbox.exchange import Exchange
from missiondesk.exchanges.sandbox.faults import Answer, Fault
from missiondesk.exchanges.sandbox.server import SandboxServer
from missiondesk.markets import Market, create_markets
from missiondesk.orders.strategy import Wanted
from missiondesk.settings import Settings
from missiondesk.store.accounts import Accounts
from missiondesk.store.database import connect
from missiondesk.store.strategy_runs import StrategyRuns
from models.errors import (
    CredentialsRefused,
    ExchangeUnreachable,
    InputRefused,
    OrderDenied,
    OrderRejected,
    UnknownName,
)
from models.order import Order, OrderStatus

SPOT = "sandbox:BTC/USD"
PERPETUAL = "sandbox_okx:BTC/USDT:USDT"
SMALL = Decimal("0.01")
KEYS = Credentials(
    key=SecretStr(SANDBOX_KEY), secret=SecretStr(SANDBOX_SECRET), passphrase=SecretStr(SANDBOX_PASSPHRASE)
)


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
def accounts(
    database_url: str, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Accounts]:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    engine = connect(database_url)
    made = Accounts(engine)
    limits = {"max_order_notional": Decimal(10**6), "max_daily_loss": Decimal(10**6)}
    made.save({"name": "mine", "exchange": "sandbox", "credentials": "environment", **limits})
    made.save({"name": "futures", "exchange": "sandbox_okx", "credentials": "environment", **limits})
    for name in ("mine", "futures"):
        made.arm(name)
    yield made
    engine.dispose()


@pytest.fixture
def desk(environment: dict[str, str]) -> Iterator[Desk]:
    """One that knows the keys of every account."""
    made = Desk(Settings.load(environment), lambda account: KEYS)
    yield made
    made.engine.dispose()


@pytest.fixture
def spot(desk: Desk) -> Iterator[Market]:
    """Live."""
    market = create_markets([SPOT], account="mine", desk=desk)[SPOT]
    yield market
    market.leave()


@pytest.fixture
def perpetual(desk: Desk) -> Iterator[Market]:
    """Live."""
    market = create_markets([PERPETUAL], account="futures", desk=desk)[PERPETUAL]
    yield market
    market.leave()


def sent_to(exchange: Exchange) -> list[str]:
    """The client order ids, as we write them, of all orders that arrived."""
    return [(order.request.client_id or "").replace("-", "") for order in exchange.orders]


def below(market: Market) -> Decimal:
    """A price at which a buy rests."""
    return market.get_ticker().bid / 2


def is_filled(order: Order, amount: Decimal) -> bool:
    return (order.status, order.filled) == (OrderStatus.FILLED, amount)


def test_prices_come_with_amounts_and_depth_is_sorted(perpetual: Market, spot: Market) -> None:
    for market in (spot, perpetual):
        ticker, book = market.get_ticker(), market.get_depth(5)
        assert 0 < ticker.bid < ticker.ask
        assert ticker.bid_amount is not None and ticker.bid_amount > 0
        assert ticker.ask_amount is not None and ticker.ask_amount > 0
        bids, asks = ([level.price for level in side] for side in (book.bids, book.asks))
        assert bids == sorted(bids, reverse=True) and asks == sorted(asks) and bids[0] < asks[0]
        assert len(bids) == len(asks) == 5


def test_on_paper_with_nothing_but_names(sandbox: SandboxServer) -> None:
    markets = create_markets([SPOT, PERPETUAL])
    assert [(market.mode, market.account) for market in markets.values()] == [
        ("paper", "paper"),
        ("paper", "paper-sandbox_okx"),
    ]
    bought, sold = markets[SPOT].long(SMALL), markets[PERPETUAL].short(2, leverage=5)
    assert is_filled(bought, SMALL) and is_filled(sold, Decimal(2))
    assert markets[SPOT].close_long().filled == SMALL
    assert markets[PERPETUAL].close_short().filled == 2
    assert sandbox.sandbox.exchange.orders == ()
    for market in markets.values():
        market.leave()


def test_long_get_order_close_long(spot: Market, sandbox: SandboxServer) -> None:
    bought = spot.long("0.01")
    assert is_filled(bought, SMALL)
    assert spot.get_order(bought) == spot.get_order(bought.client_order_id) == bought
    spot.long(0.02)
    part, rest = spot.close_long(SMALL), spot.close_long()
    assert (part.side, part.filled, rest.filled) == ("sell", SMALL, Decimal("0.02"))
    with pytest.raises(OrderDenied, match="no open position"):
        spot.close_long()
    assert spot.trade("sell", SMALL).filled == SMALL
    assert len(sent_to(sandbox.sandbox.exchange)) == 5


def test_contracts_go_long_and_short_with_leverage(perpetual: Market, sandbox: SandboxServer) -> None:
    inside = sandbox.sandbox.venues["okx"].exchange
    bought = perpetual.long(3, leverage=5)
    assert is_filled(bought, Decimal(3))
    assert is_filled(perpetual.close_long(1), Decimal(1))
    assert is_filled(perpetual.close_long(), Decimal(2))
    sold = perpetual.short(2, leverage=10)
    assert (sold.side, sold.filled) == ("sell", 2)
    assert perpetual.close_short(5).filled == 2
    with pytest.raises(OrderDenied, match="no open position"):
        perpetual.close_short()
    assert len(sent_to(inside)) == 5


def test_close_means_the_position_that_the_account_has(perpetual: Market, desk: Desk) -> None:
    by_others = StrategyRuns(desk.engine).open("hedge", "live", ["elsewhere"])
    wanted = Wanted("futures", "sandbox_okx", "BTC/USDT:USDT", "buy", Decimal(2), "contracts")
    assert is_filled(desk.strategy_gateway(by_others, "live").place(wanted), Decimal(2))
    assert is_filled(perpetual.close_long(), Decimal(2))


def test_a_resting_order_is_deleted_and_a_filled_one_is_no_error(spot: Market) -> None:
    resting = spot.long(SMALL, below(spot))
    assert resting.status is OrderStatus.OPEN
    assert spot.get_order(resting).status is OrderStatus.OPEN
    gone = spot.delete_order(resting)
    assert (gone.status, gone.filled) == (OrderStatus.CANCELLED, 0)
    assert spot.delete_order(resting) == gone
    filled = spot.long(SMALL)
    assert spot.delete_order(filled) == filled


def test_one_that_filled_unseen_is_deleted_without_an_error(spot: Market) -> None:
    resting = spot.long(SMALL, spot.get_ticker().ask * 2)
    assert spot.delete_order(resting.model_copy(update={"status": OrderStatus.OPEN})).filled == SMALL


def test_looking_and_deleting_end_in_time(spot: Market, sandbox: SandboxServer) -> None:
    resting = spot.long(SMALL, below(spot))
    assert spot.get_order(resting, wait=0.3).status is OrderStatus.OPEN
    sandbox.sandbox.faults.add(Fault(endpoint="CancelOrder", answer=Answer.STATUS, times=None))
    with pytest.raises(ExchangeUnreachable, match=r"could not be cancelled within 0.3 s, it is open"):
        spot.delete_order(resting, wait=0.3)
    sandbox.sandbox.faults.clear()
    assert spot.delete_order(resting).status is OrderStatus.CANCELLED


def test_a_lost_answer_leaves_one_order(spot: Market, sandbox: SandboxServer) -> None:
    sandbox.sandbox.faults.add(Fault(endpoint="AddOrder", acts=True, answer=Answer.DROPPED))
    order = spot.long(SMALL)
    assert is_filled(order, SMALL)
    assert sent_to(sandbox.sandbox.exchange) == [order.client_order_id]


OVER_THE_WEBSOCKET = """
from missiondesk.markets import create_markets
market = create_markets(["sandbox:BTC/USD"], account="mine")["sandbox:BTC/USD"]
for _ in range(2):
    order = market.long("0.01")
    print(order.client_order_id, order.status)
"""


def test_over_the_websocket_a_lost_answer_leaves_one_order_too(
    sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MISSIONDESK_ORDERS_OVER", "websocket")
    sandbox.sandbox.faults.add(Fault(endpoint="AddOrder", answer=Answer.STATUS, times=None))
    sandbox.sandbox.faults.add(Fault(endpoint="add_order", acts=True, answer=Answer.DROPPED))
    program = [sys.executable, "-c", OVER_THE_WEBSOCKET]
    ran = subprocess.run(program, capture_output=True, text=True, timeout=120, check=False)
    assert ran.stdout == "".join(f"{sent} filled\n" for sent in sent_to(sandbox.sandbox.exchange)), ran.stderr
    assert len(sandbox.sandbox.exchange.orders) == 2


def test_nothing_is_sent_while_an_order_may_still_turn_up(
    spot: Market, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(missiondesk.markets.market, "FILL_SECONDS", 0.2)
    resting = below(spot)
    sandbox.sandbox.faults.add(Fault(endpoint="AddOrder", acts=True, answer=Answer.DROPPED))
    for endpoint in ("OpenOrders", "ClosedOrders"):
        sandbox.sandbox.faults.add(Fault(endpoint=endpoint, answer=Answer.STATUS, times=None))
    unknown = spot.long(SMALL, resting)
    assert unknown.status is OrderStatus.UNKNOWN
    with pytest.raises(ExchangeUnreachable, match="nothing else is sent while it may turn up"):
        spot.long(SMALL)
    sandbox.sandbox.faults.clear()
    assert is_filled(spot.long(SMALL), SMALL)
    assert spot.get_order(unknown).status is OrderStatus.OPEN
    assert len(sent_to(sandbox.sandbox.exchange)) == 2


def test_what_is_too_small_is_denied_with_the_minimum(spot: Market, perpetual: Market) -> None:
    for market, unit in ((spot, "BTC"), (perpetual, "contracts")):
        least = market.instrument.min_amount
        with pytest.raises(OrderDenied, match=f"below the minimum of {least:f} {unit} of "):
            market.long(least / 2)


def test_limits_and_the_kill_switch_hold(
    spot: Market, desk: Desk, accounts: Accounts, sandbox: SandboxServer
) -> None:
    bought, resting = spot.long(SMALL), spot.long(SMALL, below(spot))
    accounts.save({"name": "mine", "max_order_notional": Decimal(1)})
    with pytest.raises(OrderDenied, match="max_order_notional"):
        spot.long(SMALL)
    desk.kill_switch.halt(reduce_only=True)
    assert spot.get_order(resting).status is OrderStatus.CANCELLED
    with pytest.raises(OrderDenied, match="halted but for orders that reduce"):
        spot.trade("sell", 2 * SMALL)
    assert spot.close_long().filled == bought.filled
    desk.kill_switch.resume()
    accounts.disarm("mine")
    with pytest.raises(OrderDenied, match="not armed"):
        spot.trade("sell", SMALL)
    assert len(sent_to(sandbox.sandbox.exchange)) == 3


def test_what_the_venue_refuses_is_raised(spot: Market, sandbox: SandboxServer) -> None:
    sandbox.sandbox.exchange.set_balances({"USD": Decimal(1)})
    with pytest.raises(OrderRejected, match=r"sandbox refused buy 0.01 BTC/USD at market"):
        spot.long(SMALL)


def test_two_markets_are_awaited_side_by_side(desk: Desk, sandbox: SandboxServer) -> None:
    markets = create_markets([SPOT, PERPETUAL], account=["mine", "futures"], desk=desk)
    one, other = (market.asynchronous for market in markets.values())
    slow = Fault(endpoint="AddOrder", wait_before=1.0)
    sandbox.sandbox.faults.add(slow)

    async def trade() -> tuple[list[Order], list[str]]:
        ended: list[str] = []

        async def bought(name: str, order: asyncio.Future[Order]) -> Order:
            done = await order
            ended.append(name)
            return done

        return await asyncio.gather(
            bought("slow", asyncio.ensure_future(one.long(SMALL))),
            bought("quick", asyncio.ensure_future(other.long(2, leverage=3))),
        ), ended

    (first, second), ended = asyncio.run(trade())
    assert is_filled(first, SMALL) and is_filled(second, Decimal(2))
    assert ended == ["quick", "slow"]

    async def close() -> tuple[Order, Order]:
        assert (await one.get_order(first)) == first
        return await asyncio.gather(one.close_long(), other.close_long())

    assert [order.filled for order in asyncio.run(close())] == [SMALL, 2]
    for market in markets.values():
        market.leave()


def test_many_tasks_on_one_market_get_an_order_each(spot: Market, sandbox: SandboxServer) -> None:
    async def trade() -> list[Order]:
        return await asyncio.gather(*(spot.asynchronous.long(SMALL) for _ in range(5)))

    orders = asyncio.run(trade())
    assert sorted(order.sequence or 0 for order in orders) == [1, 2, 3, 4, 5]
    assert sorted(order.client_order_id for order in orders) == sorted(sent_to(sandbox.sandbox.exchange))


def test_another_program_is_kept_out_and_goes_on_later(desk: Desk, spot: Market) -> None:
    resting, bought = spot.long(SMALL, below(spot)), spot.long(SMALL)
    other = create_markets([PERPETUAL, SPOT], account=["futures", "mine"], desk=desk)[SPOT]
    assert other.get_order(resting).status is OrderStatus.OPEN
    with pytest.raises(InputRefused, match="another process"):
        other.long(SMALL)
    spot.leave()
    assert other.close_long().filled == bought.filled
    assert other.get_order(resting).status is OrderStatus.CANCELLED
    other.leave()


KILLED = """
from missiondesk.markets import create_markets
market = create_markets(["sandbox:BTC/USD"], account="mine")["sandbox:BTC/USD"]
print(market.long("0.01", market.get_ticker().bid / 2).client_order_id, flush=True)
input()
market.long("0.01")
"""


def test_what_a_killed_program_left_is_settled_by_the_first_order(
    desk: Desk, spot: Market, sandbox: SandboxServer
) -> None:
    command = [sys.executable, "-c", KILLED]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        resting = process.stdout.readline().strip()
        sandbox.sandbox.faults.add(Fault(endpoint="AddOrder", acts=True, wait_after=60))
        process.stdin.write("\n")
        process.stdin.flush()
        while len(sandbox.sandbox.exchange.orders) < 2:
            assert process.poll() is None
        process.kill()
    order = spot.long(SMALL)
    assert spot.get_order(resting).status is OrderStatus.CANCELLED
    assert order.sequence == 3
    assert len(sent_to(sandbox.sandbox.exchange)) == 3


def test_what_makes_no_sense_is_refused(spot: Market, perpetual: Market) -> None:
    for refused in (lambda: spot.short(1), lambda: spot.close_short(1), lambda: spot.long(1, leverage=2)):
        with pytest.raises(OrderDenied, match="is a spot market"):
            refused()
    with pytest.raises(OrderDenied, match="above 0"):
        spot.long(-1)
    with pytest.raises(InputRefused, match="expected a number as amount, got 'much'"):
        spot.long("much")
    with pytest.raises(InputRefused, match="expected side to be one of buy, sell, got 'long'"):
        spot.trade("long", 1)  # type: ignore[arg-type]
    with pytest.raises(InputRefused, match="expected an order of sandbox:BTC/USD as mine"):
        spot.get_order("1234")


def test_accounts_are_checked_when_markets_are_made(accounts: Accounts) -> None:
    accounts.save({"name": "blocked", "exchange": "sandbox", "credentials": "my-block"})
    with pytest.raises(UnknownName, match="unknown account 'nobody'"):
        create_markets([SPOT], account="nobody")
    with pytest.raises(InputRefused, match="account mine trades at sandbox, not at sandbox_okx"):
        create_markets([PERPETUAL], account="mine")
    accounts.save({"name": "blocked", "max_order_notional": 10**6, "max_daily_loss": 10**6})
    accounts.arm("blocked")
    blocked = create_markets([SPOT], account="blocked")[SPOT]
    with pytest.raises(CredentialsRefused, match="desk_of_this_process"):
        blocked.long(SMALL)
