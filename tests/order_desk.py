"""The rows that a tick finds when it asks the order gateway for something, and a clock that tests move."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import Engine, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from missiondesk.orders.gateway import OrderGateway
from missiondesk.orders.patience import Patience
from missiondesk.store.database import connect
from missiondesk.store.orders import TradeOrders
from models import tables
from models.account import Account, Mode
from models.order import LeafKey, Order, TradeRequest
from tests.little_venue import SYMBOL, LittleVenue

ACCOUNT = "trader"
HOLDER = "flow-run-1"


@dataclass
class MovableClock:
    """Stands still until it is moved; pausing moves it."""

    now: datetime = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class WallClock(MovableClock):
    """The real time; moving it forward is waiting."""

    def __call__(self) -> datetime:
        return datetime.now(UTC)

    def forward(self, seconds: float) -> None:
        time.sleep(seconds)


@dataclass
class OrderDesk:
    """One account on the little venue, and Missions with an open, leased Missionary each."""

    engine: Engine
    venue: LittleVenue
    clock: MovableClock = field(default_factory=MovableClock)
    patience: Patience = field(default_factory=Patience)

    def __post_init__(self) -> None:
        with self.engine.connect() as connection:
            connection.execute(upsert(tables.desk).values(only=True).on_conflict_do_nothing())
        self.set_account()

    def set_account(self, **columns: Any) -> None:
        """Write the account's row; armed, with the limits that needs far away, unless told otherwise."""
        far = Decimal(10**9)
        row = {
            "name": ACCOUNT,
            "exchange": "little",
            "armed": True,
            "max_order_notional": far,
            "max_daily_loss": far,
            **columns,
        }
        with self.engine.connect() as connection:
            connection.execute(
                upsert(tables.account).values(row).on_conflict_do_update(index_elements=["name"], set_=row)
            )

    def open_missionary(self, *, next_mission_id: int | None = None) -> TradeRequest:
        """A new Mission with its Missionary; the request of its first Task: buy 0.5 BTC at market, live."""
        with self.engine.connect() as connection:
            mission_id = connection.execute(
                insert(tables.mission)
                .values(name=f"mission {uuid4().hex}", next_mission_id=next_mission_id)
                .returning(tables.mission.c.id)
            ).scalar_one()
            missionary_id = connection.execute(
                insert(tables.missionary)
                .values(mission_id=mission_id, task_ids=[1], period="1min", account=ACCOUNT, mode="live")
                .returning(tables.missionary.c.id)
            ).scalar_one()
        self.lease(missionary_id, HOLDER)
        return TradeRequest(
            key=LeafKey(missionary_id, "task", 0),
            mission_id=mission_id,
            task_id=1,
            account=ACCOUNT,
            mode="live",
            exchange="little",
            symbol=SYMBOL,
            side="buy",
            amount=Decimal("0.5"),
            unit="base",
        )

    def lease(self, missionary_id: int, holder: str, seconds: float = 3600) -> None:
        self.change(
            tables.missionary,
            missionary_id,
            holder=holder,
            lease_expires_at=datetime.now(UTC) + timedelta(seconds=seconds),
        )

    def change(self, table: Any, row_id: int, **columns: Any) -> None:
        with self.engine.connect() as connection:
            connection.execute(update(table).where(table.c.id == row_id).values(**columns))

    def trading(self, account: Account, mode: Mode) -> LittleVenue:
        return self.venue

    def market(self, exchange: str) -> LittleVenue:
        return self.venue

    def gateway(self, holder: str = HOLDER) -> OrderGateway:
        return OrderGateway(
            self.engine,
            self.trading,
            self.market,
            holder,
            clock=self.clock,
            patience=self.patience,
            pause=self.clock.forward,
        )

    def resume(self) -> None:
        TradeOrders(self.engine).resume()

    def rows(self) -> list[Order]:
        with self.engine.connect() as connection:
            found = connection.execute(
                select(tables.trade_order).order_by(tables.trade_order.c.id)
            ).mappings()
            return [Order.from_row({**row}) for row in found]


@contextmanager
def little_desk(database_url: str, folder: Path) -> Iterator[OrderDesk]:
    """A desk in an empty database; bitcoin is bid 19990, offered at 20000; the account has 100000 USD."""
    clock = MovableClock()
    venue = LittleVenue(folder / "venue.sqlite", clock)
    venue.quote("BTC/USD", "19990", "20000")
    venue.quote("ETH/USD", "999", "1000")
    venue.deposit({"USD": "100000"})
    engine = connect(database_url)
    try:
        yield OrderDesk(engine, venue, clock)
    finally:
        engine.dispose()


def at_place(request: TradeRequest, task_index: int) -> TradeRequest:
    """The same request for another Task of the Missionary."""
    return replace(request, key=replace(request.key, task_index=task_index))
