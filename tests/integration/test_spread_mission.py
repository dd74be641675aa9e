"""A Mission that trades a spread: it looks at two markets, then buys on the one and sells on the other."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from missiondesk.desk import Desk
from missiondesk.exchanges.sandbox.server import SandboxServer
from missiondesk.settings import Settings
from missiondesk.templates.run import try_template
from missiondesk.templates.validation import check_task
from missiondesk.ticks.outcome import TickOutcome
from missiondesk.ticks.tick import Run, run_tick

DEAR, CHEAP = "BTC/USDT", "BTC/USD"
BETWEEN = 2500
"""US dollars: more than 0.01 BTC ever costs at the sandbox, less than 0.1 BTC does."""
Row = tuple[str, str, str, Decimal, str]


class SpreadDesk:
    """A desk on the sandbox's prices, and one Mission that buys cheap and sells dear, on paper."""

    def __init__(self, settings: Settings) -> None:
        self.desk = Desk(settings, lambda account: None)
        self.limit(None)

    def limit(self, largest: int | None) -> None:
        balances = {"USD": "100000", "BTC": "1"}
        self.desk.accounts.save(
            {
                "name": "paper",
                "max_order_notional": None if largest is None else Decimal(largest),
                "paper_balances": balances,
            }
        )

    def mission(self, *, above: float, buy: str, sell: str) -> None:
        spread = {"a": f"sandbox:{DEAR}", "b": f"sandbox:{CHEAP}", "value": above}
        legs = [
            {"template": "market_buy", "params": {"symbol": CHEAP, "amount": buy}},
            {"template": "market_sell", "params": {"symbol": DEAR, "amount": sell}},
        ]
        self.desk.missions.save(
            {
                "name": "spread",
                "task_ids": [self._task("far apart", "spread_above", spread)],
                "target_id": self._task("both legs", "sequence", {"tasks": legs}),
            }
        )

    def tick(self) -> TickOutcome:
        run = Run(str(uuid4()), datetime.now(UTC), ad_hoc=True)
        return run_tick(self.desk, "spread", run, lambda task, context: try_template(context, task))

    def orders(self) -> list[Row]:
        with self.desk.engine.connect() as connection:
            rows = connection.execute(
                text("SELECT symbol, side, status, filled, mode FROM trade_order ORDER BY id")
            )
            return [(row.symbol, row.side, row.status, row.filled, row.mode) for row in rows]

    def _task(self, name: str, template: str, params: dict[str, Any]) -> int:
        return self.desk.missions.save_task(
            {"name": name, "template": template, "params": params, "period": "1min"}, check_task
        ).id


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Iterator[SpreadDesk]:
    with SandboxServer() as sandbox:
        settings = Settings.load(
            {
                "MISSIONDESK_HOME": str(tmp_path),
                "MISSIONDESK_DATABASE_URL": database_url,
                "MISSIONDESK_EXCHANGE": "sandbox",
                "MISSIONDESK_EXCHANGE_URL": sandbox.url,
            }
        )
        made = SpreadDesk(settings)
        yield made
        made.desk.engine.dispose()


def test_both_legs_are_traded_once_the_markets_are_far_enough_apart(desk: SpreadDesk) -> None:
    desk.mission(above=1000, buy="0.01", sell="0.01")
    waiting = desk.tick()
    assert (waiting.ending, desk.orders()) == ("Waiting", [])
    assert "spread" in waiting.message
    desk.mission(above=-1000, buy="0.01", sell="0.01")
    assert desk.tick().ending == "Finished"
    assert desk.orders() == [
        (CHEAP, "buy", "filled", Decimal("0.01"), "paper"),
        (DEAR, "sell", "filled", Decimal("0.01"), "paper"),
    ]


def test_a_leg_that_is_denied_never_repeats_the_other_one(desk: SpreadDesk) -> None:
    desk.limit(BETWEEN)
    desk.mission(above=-1000, buy="0.01", sell="0.1")
    for _ in range(3):
        waiting = desk.tick()
        assert waiting.ending == "Waiting"
        assert "max_order_notional" in waiting.message
    assert desk.orders() == [
        (CHEAP, "buy", "filled", Decimal("0.01"), "paper"),
        (DEAR, "sell", "denied", Decimal(0), "paper"),
    ]
    desk.limit(None)
    assert desk.tick().ending == "Finished"
    assert [row[:3] for row in desk.orders()] == [
        (CHEAP, "buy", "filled"),
        (DEAR, "sell", "denied"),
        (DEAR, "sell", "filled"),
    ]


def test_without_the_first_leg_there_is_no_second(desk: SpreadDesk) -> None:
    desk.limit(BETWEEN)
    desk.mission(above=-1000, buy="0.1", sell="0.01")
    assert [desk.tick().ending for _ in range(2)] == ["Waiting", "Waiting"]
    assert desk.orders() == [(CHEAP, "buy", "denied", Decimal(0), "paper")]
