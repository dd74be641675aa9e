"""What an account carried over midnight, added up by the database, is what its orders come to one by one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, insert, select

from missiondesk.orders.entry import holding_after
from missiondesk.orders.exposure import day_began
from missiondesk.store.database import connect
from missiondesk.store.orders import TradeOrders
from models import tables
from models.order import Order
from tests.little_venue import BITCOIN, ETHER
from tests.order_values import entry_of, order

FIRST_DAY = datetime(2026, 3, 1, tzinfo=UTC)
DAYS = 6
CONTRACT = replace(BITCOIN, is_contract=True)

histories = st.lists(
    st.tuples(
        st.integers(0, DAYS * 24 - 1),
        st.sampled_from(["buy", "sell"]),
        st.integers(1, 5),
        st.sampled_from([BITCOIN.symbol, ETHER.symbol]),
        st.sampled_from(["trader", "trader", "other"]),
        st.sampled_from(["filled", "filled", "cancelled", "open"]),
    ),
    max_size=40,
)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = connect(database_url)
    yield engine
    engine.dispose()


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(histories, st.sets(st.integers(0, DAYS)))
def test_sums_that_are_kept_are_those_of_the_orders(
    engine: Engine, history: list[tuple[int, str, int, str, str, str]], kept_on: set[int]
) -> None:
    """Kept on some days and not on others, asked for on each."""
    orders = [
        order(
            client_order_id=f"{number:032x}",
            side=side,
            amount=amount,
            filled=amount,
            average=Decimal(100),
            symbol=symbol,
            account=account,
            status=status,
            sent_at=FIRST_DAY + timedelta(hours=hour, seconds=number),
            updated_at=FIRST_DAY + timedelta(hours=hour, seconds=number),
        )
        for number, (hour, side, amount, symbol, account, status) in enumerate(sorted(history))
    ]
    written(engine, orders)
    store = TradeOrders(engine)
    for day in range(DAYS + 1):
        midnight = FIRST_DAY + timedelta(days=day)
        if day in kept_on:
            store.keep_carried(day_began(midnight + timedelta(hours=3)))
        book = store.book("trader", "live", midnight)
        for instrument in (BITCOIN, ETHER, CONTRACT):
            settled = [
                each
                for each in orders
                if (each.account, each.symbol) == ("trader", instrument.symbol)
                and each.status.is_final
                and each.updated_at < midnight
            ]
            market = (instrument.exchange, instrument.symbol)
            assert book.carries(market, instrument) == holding_after(settled, instrument).amount
        of_today = [
            entry_of(each)
            for each in orders
            if each.account == "trader" and (each.updated_at >= midnight or not each.status.is_final)
        ]
        assert list(book.orders) == of_today
    with engine.connect() as connection:
        assert len(set(connection.scalars(select(tables.carried_holding.c.day)))) <= 2


def written(engine: Engine, orders: list[Order]) -> None:
    with engine.connect() as connection:
        connection.execute(delete(tables.carried_holding))
        connection.execute(delete(tables.trade_order))
        if orders:
            connection.execute(insert(tables.trade_order), [each.model_dump() for each in orders])
