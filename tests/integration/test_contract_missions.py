"""Missions that trade futures from end to end: templates, gateway and exchange, on paper and as live."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from missiondesk.desk import Desk
from missiondesk.exchanges.ccxt_exchange import CcxtExchange
from missiondesk.exchanges.contracts import Contract
from missiondesk.exchanges.sandbox.exchange import Exchange
from missiondesk.exchanges.sandbox.server import SandboxServer
from missiondesk.market_names import market_of
from missiondesk.settings import Settings
from missiondesk.templates.run import try_template
from missiondesk.templates.validation import check_task
from missiondesk.ticks.outcome import TickOutcome
from missiondesk.ticks.tick import Run, run_tick
from models.account import Account, Mode
from models.market import Side
from tests.contract.exchange_contract import ManualClock
from tests.contract.sandbox_bench import credentials, opened

NAME = "sandbox_okx"
MODES: tuple[Mode, ...] = ("paper", "live")


@dataclass
class FuturesDesk:
    """A desk whose one account trades at the sandbox's OKX, and whoever else uses that account's keys."""

    desk: Desk
    server: SandboxServer
    mode: Mode

    @property
    def symbol(self) -> str:
        return market_of("okex_future_btcusd_quarter", datetime.now(UTC)).symbol

    @property
    def exchange(self) -> Exchange:
        return self.server.sandbox.venues["okx"].exchange

    def mission(self, *steps: tuple[str, dict[str, Any]], **fields: Any) -> str:
        name = uuid4().hex
        ids = [
            self.desk.missions.save_task(
                {
                    "name": f"{name} {number}",
                    "template": template,
                    "params": {"symbol": self.symbol, **params},
                },
                check_task,
            ).id
            for number, (template, params) in enumerate(steps)
        ]
        self.desk.missions.save({"name": name, "task_ids": ids, "mode": self.mode, **fields})
        return name

    def tick(self, name: str) -> TickOutcome:
        run = Run(str(uuid4()), datetime.now(UTC), False)
        return run_tick(self.desk, name, run, lambda task, context: try_template(context, task))

    def position(self) -> Decimal:
        trading = self.desk._trading(Account(name="paper", exchange=NAME, credentials="own"), self.mode)
        return sum((each.amount for each in trading.positions() if each.symbol == self.symbol), Decimal(0))

    def orders(self) -> list[Any]:
        with self.desk.engine.connect() as connection:
            return list(connection.execute(text("SELECT * FROM trade_order ORDER BY id")))

    def by_hand(self, side: Side, amount: int) -> None:
        """Somebody else trades on the same account at the venue."""
        venue: CcxtExchange = opened(self.server, NAME, ManualClock(datetime.now(UTC)))
        venue.place(
            client_order_id=uuid4().hex,
            symbol=self.symbol,
            side=side,
            type="market",
            amount=Decimal(amount),
            price=None,
            deadline=datetime.now(UTC) + timedelta(seconds=20),
        )


@pytest.fixture
def futures(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> Iterator[FuturesDesk]:
    with SandboxServer() as server:
        settings = Settings.load(
            {
                "MISSIONDESK_HOME": str(tmp_path),
                "MISSIONDESK_DATABASE_URL": database_url,
                "MISSIONDESK_EXCHANGE_URL": server.url,
            }
        )
        desk = Desk(settings, lambda account: credentials())
        with desk.engine.connect() as connection:
            connection.execute(
                text(
                    "UPDATE account SET exchange = :name, credentials = 'own', armed = true,"
                    " max_order_notional = 1000000, max_daily_loss = 1000000,"
                    """ paper_balances = '{"BTC": "2", "USDT": "100000"}'"""
                ),
                {"name": NAME},
            )
        yield FuturesDesk(desk, server, getattr(request, "param", "live"))
        desk.engine.dispose()


both = pytest.mark.parametrize("futures", MODES, indirect=True)


@both
def test_a_mission_goes_long_and_closes_again(futures: FuturesDesk) -> None:
    long = {"amount": 10, "unit": "contracts", "leverage": 5}
    outcome = futures.tick(futures.mission(("long", long), ("close_long", {})))
    assert outcome.ending == "Finished", outcome.message
    bought, sold = futures.orders()
    assert (bought.side, bought.filled, bought.status) == ("buy", 10, "filled")
    assert (sold.side, sold.filled, sold.reduce_only) == ("sell", 10, True)
    assert bought.cost == sold.cost == 1000
    assert bought.fee == pytest.approx(Decimal("0.5"), abs=Decimal("0.001"))
    assert futures.position() == 0
    assert len(futures.exchange.orders) == (2 if futures.mode == "live" else 0)


@both
def test_a_mission_goes_short_with_half_of_its_margin_and_closes_by_halves(futures: FuturesDesk) -> None:
    short = {"amount": 50, "unit": "percent", "leverage": 4}
    futures.tick(futures.mission(("short", short)))
    (sold,) = futures.orders()
    assert (sold.side, sold.status) == ("sell", "filled")
    # Half of 2 BTC, four times, at 100 dollars a contract, less the slippage that must fit inside.
    asked = 1 * 4 * sold.average / 100
    assert asked * Decimal("0.98") < sold.filled < asked
    assert futures.position() == -sold.filled
    half = {"amount": 50, "unit": "percent"}
    futures.tick(futures.mission(("close_short", half)))
    assert futures.position() == -(sold.filled - int(sold.filled / 2))
    outcome = futures.tick(futures.mission(("close_all", {})))
    assert (outcome.ending, futures.position()) == ("Finished", 0)


@both
def test_all_that_the_margin_carries_is_accepted_at_the_market_and_at_a_limit(futures: FuturesDesk) -> None:
    whole = {"amount": 100, "unit": "percent", "leverage": 5}
    assert futures.tick(futures.mission(("long", whole), ("close_all", {}))).ending == "Finished"
    futures.tick(futures.mission(("long", whole | {"price": 20_000})))
    *_, resting = futures.orders()
    assert (resting.status, resting.reason) == ("open", "")
    owned = Decimal(2)
    carried = Contract(Decimal(100), inverse=True).worth(resting.amount, Decimal(20_000))
    # The fees and the way through the book of the first trade are gone; how far that is depends on the price.
    assert Decimal("0.9") < carried / 5 / owned < 1


@both
def test_nothing_to_close_is_denied_but_passes_for_close_all(futures: FuturesDesk) -> None:
    outcome = futures.tick(futures.mission(("close_long", {})))
    assert outcome.ending == "Waiting"
    assert "no open position" in outcome.message
    assert futures.tick(futures.mission(("close_all", {}))).ending == "Finished"


@both
def test_close_all_closes_what_another_mission_opened(futures: FuturesDesk) -> None:
    futures.tick(futures.mission(("long", {"amount": 10, "unit": "contracts"})))
    outcome = futures.tick(futures.mission(("close_all", {})))
    assert (outcome.ending, futures.position()) == ("Finished", 0)


@both
def test_a_stop_sells_what_its_own_chain_bought_and_no_more(futures: FuturesDesk) -> None:
    futures.tick(futures.mission(("long", {"amount": 7, "unit": "contracts"})))
    stop = {"percent": "0.0001", "amount": 100, "unit": "percent"}
    futures.tick(futures.mission(("long", {"amount": 10, "unit": "contracts"}), ("stop_loss", stop)))
    sold = futures.orders()[-1]
    assert (sold.side, sold.filled) == ("sell", 10)
    assert futures.position() == 7


class TestTradedByHand:
    """Somebody trades at the venue besides the desk, on the account of a live Mission."""

    def test_what_was_closed_by_hand_is_not_closed_again(self, futures: FuturesDesk) -> None:
        futures.tick(futures.mission(("long", {"amount": 10, "unit": "contracts"})))
        futures.by_hand("sell", 6)
        assert futures.tick(futures.mission(("close_long", {}))).ending == "Finished"
        assert (futures.orders()[-1].filled, futures.position()) == (4, 0)

    def test_when_all_of_it_was_there_is_nothing_to_close(self, futures: FuturesDesk) -> None:
        futures.tick(futures.mission(("long", {"amount": 10, "unit": "contracts"})))
        futures.by_hand("sell", 10)
        assert futures.tick(futures.mission(("close_all", {}))).ending == "Finished"
        assert len(futures.orders()) == 1

    def test_what_was_opened_by_hand_is_closed_too(self, futures: FuturesDesk) -> None:
        futures.by_hand("sell", 8)
        assert futures.tick(futures.mission(("close_short", {}))).ending == "Finished"
        assert (futures.orders()[-1].filled, futures.position()) == (8, 0)

    def test_a_turned_position_is_not_turned_back(self, futures: FuturesDesk) -> None:
        futures.tick(futures.mission(("long", {"amount": 10, "unit": "contracts"})))
        futures.by_hand("sell", 15)
        assert futures.tick(futures.mission(("close_long", {}))).ending == "Waiting"
        assert futures.position() == -5
