"""The position of a chain of Missions, and what closes it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from models import tables
from models.order import OrderProgress, Position, TradeRequest
from tests.order_desk import OrderDesk, at_place, little_desk


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Iterator[OrderDesk]:
    with little_desk(database_url, tmp_path) as desk:
        yield desk


def tick(desk: OrderDesk, request: TradeRequest) -> OrderProgress:
    return desk.gateway().work(request, desk.clock())


def position(desk: OrderDesk, request: TradeRequest) -> Position | None:
    return desk.gateway().position(
        request.account, request.mode, request.mission_id, request.exchange, request.symbol
    )


def closing(request: TradeRequest, percent: int = 100) -> TradeRequest:
    return replace(request, side="sell", reduce_only=True, unit="percent", amount=Decimal(percent))


@pytest.fixture
def chain(desk: OrderDesk) -> tuple[TradeRequest, TradeRequest]:
    """Requests of a buying Mission and of the selling one it is chained with, each other's next."""
    selling = desk.open_missionary()
    buying = desk.open_missionary(next_mission_id=selling.mission_id)
    desk.change(tables.mission, selling.mission_id, next_mission_id=buying.mission_id)
    return buying, closing(selling)


def test_the_selling_mission_closes_what_the_buying_one_opened(
    desk: OrderDesk, chain: tuple[TradeRequest, TradeRequest]
) -> None:
    buying, selling = chain
    assert position(desk, selling) is None
    tick(desk, buying)
    desk.venue.quote("BTC/USD", "21990", "22000")
    tick(desk, replace(at_place(buying, 1), amount=Decimal("0.25")))
    held = position(desk, selling)
    assert held is not None
    assert held.amount == Decimal("0.75")
    assert round(held.entry_price, 4) == Decimal("20666.6667")

    assert tick(desk, closing(at_place(selling, 1), percent=20)).filled == Decimal("0.15")
    assert tick(desk, selling).filled == Decimal("0.6")
    assert position(desk, buying) is None


def test_other_chains_accounts_modes_and_symbols_have_positions_of_their_own(desk: OrderDesk) -> None:
    request = desk.open_missionary()
    other = desk.open_missionary()
    tick(desk, request)
    assert position(desk, other) is None
    assert position(desk, replace(request, mode="paper")) is None
    assert position(desk, replace(request, account="paper")) is None
    assert position(desk, replace(request, symbol="ETH/USD")) is None
    assert tick(desk, closing(other)).rule == "DENIED"


def test_a_partly_filled_order_is_already_a_position(desk: OrderDesk) -> None:
    request = replace(desk.open_missionary(), price=Decimal(15000))
    tick(desk, request)
    desk.venue.fill("0.2")
    tick(desk, request)
    held = position(desk, request)
    assert held is not None and (held.amount, held.entry_price) == (Decimal("0.2"), Decimal(15000))


def test_two_closing_orders_never_sell_more_than_there_is(
    desk: OrderDesk, chain: tuple[TradeRequest, TradeRequest]
) -> None:
    buying, selling = chain
    tick(desk, buying)
    take_profit = replace(at_place(selling, 1), price=Decimal(25000), unit="base", amount=Decimal("0.3"))
    assert tick(desk, take_profit).rule == "OPEN"
    stop = tick(desk, replace(selling, unit="base", amount=Decimal("0.5")))
    assert (stop.done, stop.filled) == (True, Decimal("0.2"))
    assert tick(desk, at_place(selling, 2)).rule == "DENIED"


def test_a_closing_remainder_ends_when_the_position_is_gone(
    desk: OrderDesk, chain: tuple[TradeRequest, TradeRequest]
) -> None:
    buying, selling = chain
    tick(desk, buying)
    resting = replace(selling, price=Decimal(25000), timeout_seconds=60)
    tick(desk, resting)
    desk.venue.fill("0.1")
    desk.clock.forward(60)
    desk.venue.fault = lambda call: "reject" if call == "place" else None
    assert tick(desk, resting).rule == "REJECTED"
    desk.venue.fault = lambda call: None
    assert tick(desk, at_place(selling, 1)).filled == Decimal("0.4")

    progress = tick(desk, resting)
    assert (progress.done, progress.filled) == (True, Decimal("0.1"))


def test_percentages_of_free_balances(desk: OrderDesk) -> None:
    request = replace(desk.open_missionary(), unit="percent", amount=Decimal(50))
    progress = tick(desk, request)
    # 50000 / (20000 · 1.01 · 1.0026), in lots
    assert (progress.done, progress.filled) == (True, Decimal("2.4688"))
    sold = tick(desk, replace(at_place(request, 1), side="sell"))
    assert (sold.done, sold.filled) == (True, Decimal("1.2344"))


def test_contracts_go_the_same_way_and_can_be_short(desk: OrderDesk) -> None:
    desk.venue.quote("BTC/USD:USD", "99", "100")
    request = replace(
        desk.open_missionary(),
        symbol="BTC/USD:USD",
        side="sell",
        amount=Decimal(7),
        unit="contracts",
        leverage=Decimal(2),
    )
    assert tick(desk, request).done
    short = position(desk, request)
    assert short is not None and (short.amount, short.entry_price) == (Decimal(-7), Decimal(99))

    closing_wrongly = replace(closing(at_place(request, 1)), leverage=None)
    assert tick(desk, closing_wrongly).rule == "DENIED"
    assert tick(desk, replace(closing_wrongly, side="buy")).filled == 7
    assert position(desk, request) is None
