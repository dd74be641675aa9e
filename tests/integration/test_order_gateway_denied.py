"""What the gateway refuses before anything is sent, and the kill switch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert

from missiondesk.orders.killswitch import KillSwitch
from models import tables
from models.errors import CredentialsRefused, ExchangeUnreachable
from models.order import OrderProgress, OrderStatus, TradeRequest, client_order_id
from tests.little_venue import PERPETUAL, Fault
from tests.order_desk import OrderDesk, at_place, little_desk


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Iterator[OrderDesk]:
    with little_desk(database_url, tmp_path) as desk:
        yield desk


@pytest.fixture
def switch(desk: OrderDesk) -> KillSwitch:
    return KillSwitch(desk.engine, desk.trading, desk.market, clock=desk.clock)


def tick(desk: OrderDesk, request: TradeRequest) -> OrderProgress:
    return desk.gateway().work(request, desk.clock())


def assert_denied(desk: OrderDesk, request: TradeRequest, because: str) -> None:
    sent = len(desk.venue.accepted())
    progress = tick(desk, request)
    assert (progress.done, progress.rule) == (False, "DENIED"), progress.message
    assert because in progress.message
    assert len(desk.venue.accepted()) == sent


def test_a_denied_order_is_a_row_and_denying_it_again_is_the_same_row(desk: OrderDesk) -> None:
    request = desk.open_missionary()
    desk.set_account(armed=False)
    for _ in range(3):
        assert_denied(desk, request, "is not armed")
        desk.clock.forward(60)
    [row] = desk.rows()
    assert (row.status, row.attempt, row.sent_at) == (OrderStatus.DENIED, 0, None)

    desk.set_account(armed=True)
    assert tick(desk, request).done
    assert [row.attempt for row in desk.rows()] == [0, 1]


def test_a_disabled_mission_gets_no_orders(desk: OrderDesk) -> None:
    request = desk.open_missionary()
    desk.change(tables.mission, request.mission_id, enabled=False)
    assert_denied(desk, request, "is disabled")


def test_open_orders_of_a_disabled_mission_are_still_followed(desk: OrderDesk) -> None:
    request = replace(desk.open_missionary(), price=Decimal(15000))
    tick(desk, request)
    desk.change(tables.mission, request.mission_id, enabled=False)
    desk.venue.fill("0.5")
    assert tick(desk, request).done


def test_an_ended_missionary_gets_no_orders(desk: OrderDesk) -> None:
    request = desk.open_missionary()
    desk.change(tables.missionary, request.key.missionary_id, ended_at=desk.clock())
    assert_denied(desk, request, "has ended")
    assert_denied(desk, replace(request, key=replace(request.key, missionary_id=10**6)), "no longer exists")


def test_a_live_order_needs_an_armed_account(desk: OrderDesk) -> None:
    request = desk.open_missionary()
    desk.set_account(armed=False)
    assert_denied(desk, request, "missiondesk arm trader")
    assert tick(desk, replace(at_place(request, 1), mode="paper")).done


@pytest.mark.parametrize(
    ("changes", "because"),
    [
        ({"leverage": Decimal(2)}, "is a spot market"),
        ({"unit": "contracts"}, "is a spot market"),
        ({"unit": "percent", "amount": Decimal(101)}, "expected a percentage up to 100"),
        ({"amount": Decimal("0.0009")}, "below the minimum of 0.001 BTC"),
        ({"amount": Decimal(0)}, "expected an amount above 0"),
        ({"amount": Decimal("0.001"), "price": Decimal(100)}, "below the minimum of 5 USD"),
        ({"side": "sell", "unit": "percent", "amount": Decimal(50)}, "expected free BTC"),
        ({"side": "sell", "reduce_only": True}, "no open position"),
        ({"price": Decimal("0.01")}, "expected a price above 0"),
    ],
)
def test_what_makes_no_sense_is_denied(desk: OrderDesk, changes: dict[str, Any], because: str) -> None:
    assert_denied(desk, replace(desk.open_missionary(), **changes), because)


def test_a_stale_price_is_denied(desk: OrderDesk) -> None:
    request = desk.open_missionary()
    desk.venue.quote("BTC/USD", "19990", "20000", at=desk.clock())
    desk.clock.forward(61)
    assert_denied(desk, request, "stale: 61 s old, expected at most 60 s")
    desk.venue.quote("BTC/USD", "19990", "20000", at=desk.clock() - timedelta(seconds=60))
    assert tick(desk, request).done


def test_an_empty_side_of_the_book_is_never_priced_zero(desk: OrderDesk) -> None:
    desk.venue.quote("BTC/USD", "19990", "0")
    assert_denied(desk, desk.open_missionary(), "has no ask side")


def test_the_notional_of_a_market_order_counts_its_slippage(desk: OrderDesk) -> None:
    request = desk.open_missionary()
    desk.set_account(max_order_notional=Decimal(10099), slippage=Decimal("0.01"))
    assert_denied(desk, request, "max_order_notional: the order is worth 10100.00, allowed are 10099")
    desk.set_account(max_order_notional=Decimal(10100))
    assert tick(desk, request).done


def test_a_sell_counts_at_the_bid_however_low_its_limit(desk: OrderDesk) -> None:
    request = replace(desk.open_missionary(), side="sell", price=Decimal(100))
    desk.set_account(max_order_notional=Decimal(9994))
    assert_denied(desk, request, "max_order_notional: the order is worth 9995.00, allowed are 9994")
    short = replace(at_place(request, 1), symbol=PERPETUAL.symbol, amount=Decimal(1), unit="contracts")
    desk.venue.quote(PERPETUAL.symbol, "19990", "20000")
    assert_denied(desk, short, "max_order_notional: the order is worth 19990.00, allowed are 9994")
    bought_below = replace(at_place(request, 2), side="buy")
    assert tick(desk, bought_below).rule == "OPEN"
    desk.venue.quote("BTC/USD", "19990", "20000", at=desk.clock() - timedelta(seconds=61))
    assert_denied(desk, at_place(request, 3), "is stale")


def test_open_exposure_counts_what_rests(desk: OrderDesk) -> None:
    request = desk.open_missionary()
    desk.set_account(max_open_exposure=Decimal(19999), slippage=Decimal(0))
    assert tick(desk, replace(request, price=Decimal(15000))).rule == "OPEN"
    assert_denied(desk, at_place(request, 1), "max_open_exposure")
    assert tick(desk, replace(at_place(request, 2), amount=Decimal("0.4"))).done
    ether = replace(at_place(request, 3), symbol="ETH/USD", amount=Decimal(5))
    assert_denied(desk, ether, "max_open_exposure")
    selling = replace(at_place(request, 4), side="sell", amount=Decimal("0.1"))
    assert tick(desk, selling).done


def test_orders_per_minute(desk: OrderDesk) -> None:
    request = replace(desk.open_missionary(), amount=Decimal("0.01"))
    desk.set_account(max_orders_per_minute=2)
    assert tick(desk, at_place(request, 1)).done
    assert tick(desk, at_place(request, 2)).done
    assert_denied(desk, at_place(request, 3), "max_orders_per_minute")
    reducing = replace(at_place(request, 4), side="sell", reduce_only=True)
    assert_denied(desk, reducing, "max_orders_per_minute")
    desk.clock.forward(60)
    assert tick(desk, at_place(request, 3)).done


def test_the_daily_loss_is_realised_and_unrealised_after_fees(desk: OrderDesk) -> None:
    request = desk.open_missionary()
    desk.set_account(max_daily_loss=Decimal(500))
    assert tick(desk, request).done
    desk.venue.quote("BTC/USD", "19060", "19070")
    assert tick(desk, replace(at_place(request, 1), amount=Decimal("0.001"))).done
    desk.venue.quote("BTC/USD", "19040", "19050")
    assert_denied(desk, at_place(request, 2), "max_daily_loss")

    selling = replace(
        at_place(request, 3), side="sell", reduce_only=True, unit="percent", amount=Decimal(100)
    )
    assert tick(desk, selling).done
    assert_denied(desk, at_place(request, 2), "max_daily_loss")

    desk.clock.forward(12 * 3600)
    assert tick(desk, at_place(request, 2)).done


def test_reducing_orders_skip_all_limits_but_the_rate(desk: OrderDesk) -> None:
    request = desk.open_missionary()
    assert tick(desk, request).done
    desk.set_account(
        max_order_notional=Decimal(1), max_open_exposure=Decimal(1), max_daily_loss=Decimal("0.01")
    )
    desk.venue.quote("BTC/USD", "9990", "10000", at=desk.clock() - timedelta(hours=1))
    selling = replace(at_place(request, 1), side="sell", reduce_only=True)
    assert tick(desk, selling).done


def test_a_spot_sell_of_what_the_chain_holds_skips_them_too(desk: OrderDesk) -> None:
    selling = replace(desk.open_missionary(), side="sell")
    assert tick(desk, desk.open_missionary(next_mission_id=selling.mission_id)).done
    assert tick(desk, desk.open_missionary()).done  # of another chain
    desk.set_account(max_order_notional=Decimal(1), max_daily_loss=Decimal("0.01"))
    too_much = replace(at_place(selling, 1), amount=Decimal("0.5001"))
    assert_denied(desk, too_much, "max_order_notional")
    resting = replace(at_place(selling, 2), amount=Decimal("0.3"), price=Decimal(30000))
    assert tick(desk, resting).rule == "OPEN"
    assert_denied(desk, at_place(selling, 3), "max_order_notional")
    assert tick(desk, replace(at_place(selling, 4), amount=Decimal("0.2"))).done


def test_limits_are_those_of_the_moment_of_the_intent(desk: OrderDesk) -> None:
    """Paper orders and denied ones count for nothing in a live account's limits."""
    request = replace(desk.open_missionary(), amount=Decimal("0.01"))
    desk.set_account(max_orders_per_minute=1)
    assert tick(desk, replace(at_place(request, 1), mode="paper")).done
    assert_denied(desk, replace(at_place(request, 2), leverage=Decimal(1)), "spot")
    assert tick(desk, at_place(request, 3)).done


def test_a_halted_desk_denies_every_order_until_it_resumes(desk: OrderDesk, switch: KillSwitch) -> None:
    request = desk.open_missionary()
    switch.halt()
    assert_denied(desk, request, "missiondesk resume")
    switch.resume()
    assert tick(desk, request).done


def test_a_missing_desk_row_counts_as_halted(desk: OrderDesk, switch: KillSwitch) -> None:
    request = desk.open_missionary()
    with desk.engine.connect() as connection:
        connection.execute(delete(tables.desk))
    assert_denied(desk, request, "missiondesk doctor")
    assert desk.rows() == []
    switch.halt()
    assert_denied(desk, request, "missiondesk resume")


def test_halting_cancels_what_rests_on_all_accounts(desk: OrderDesk, switch: KillSwitch) -> None:
    request = replace(desk.open_missionary(), price=Decimal(15000))
    tick(desk, request)
    tick(desk, replace(at_place(request, 1), mode="paper"))
    halted = switch.halt()
    assert [order.status for order in halted.ended] == [OrderStatus.CANCELLED] * 2
    assert halted.unsettled == ()
    assert [order.status for order in desk.venue.accepted()] == ["cancelled"] * 2
    assert {row.reason for row in desk.rows()} == {"the desk was halted"}


def test_halting_can_leave_what_rests(desk: OrderDesk, switch: KillSwitch) -> None:
    tick(desk, replace(desk.open_missionary(), price=Decimal(15000)))
    assert switch.halt(keep_open=True).ended == ()
    assert [order.status for order in desk.venue.accepted()] == ["open"]


def test_halting_says_what_it_could_not_cancel(desk: OrderDesk, switch: KillSwitch) -> None:
    request = replace(desk.open_missionary(), price=Decimal(15000))
    tick(desk, request)
    tick(desk, at_place(request, 1))
    faults: list[Fault] = ["unreachable"]
    desk.venue.fault = lambda call: faults.pop() if call == "cancel" and faults else None
    halted = switch.halt()
    [(left, reason)] = halted.unsettled
    assert (left.status, reason) == (OrderStatus.OPEN, "little does not answer")
    assert len(halted.ended) == 1
    assert len(switch.halt().ended) == 1


def test_halting_goes_on_whatever_is_wrong_with_an_order(desk: OrderDesk, switch: KillSwitch) -> None:
    request = replace(desk.open_missionary(), price=Decimal(15000))
    for index in range(3):
        tick(desk, at_place(request, index))
    troubles: list[Exception] = [ConnectionError("not translated"), CredentialsRefused("wrong key")]

    def fail_twice(call: str) -> Fault | None:
        if troubles:
            raise troubles.pop()
        return None

    desk.venue.fault = fail_twice
    halted = switch.halt()
    assert [reason for _, reason in halted.unsettled] == ["wrong key", "not translated"]
    assert [order.status for order in halted.ended] == [OrderStatus.CANCELLED]


def test_a_reduce_only_halt_lets_reducing_orders_pass_and_rest(desk: OrderDesk, switch: KillSwitch) -> None:
    request = desk.open_missionary()
    assert tick(desk, request).done
    take_profit = replace(at_place(request, 1), side="sell", reduce_only=True, price=Decimal(30000))
    take_profit = replace(take_profit, amount=Decimal("0.2"))
    assert tick(desk, take_profit).rule == "OPEN"
    assert tick(desk, replace(at_place(request, 2), price=Decimal(15000))).rule == "OPEN"

    halted = switch.halt(reduce_only=True)

    assert [order.side for order in halted.ended] == ["buy"]
    assert_denied(desk, at_place(request, 3), "reduce a position")
    stop = replace(at_place(request, 4), side="sell", reduce_only=True, unit="percent", amount=Decimal(100))
    progress = tick(desk, stop)
    assert (progress.done, progress.filled) == (True, Decimal("0.3"))


def test_a_reduce_only_halt_lets_a_spot_sell_of_what_the_chain_holds_pass_and_rest(
    desk: OrderDesk, switch: KillSwitch
) -> None:
    request = desk.open_missionary()
    assert tick(desk, request).done
    selling = replace(request, side="sell", amount=Decimal("0.2"))
    resting = replace(at_place(selling, 1), price=Decimal(30000))
    assert tick(desk, resting).rule == "OPEN"
    assert switch.halt(reduce_only=True).ended == ()
    assert_denied(desk, replace(at_place(selling, 2), amount=Decimal("0.31")), "reduce a position")
    assert tick(desk, at_place(selling, 3)).done
    assert tick(desk, resting).rule == "OPEN"
    assert len(switch.halt().ended) == 1
    assert_denied(desk, at_place(selling, 4), "the desk is halted")


def test_halting_takes_back_intents(desk: OrderDesk, switch: KillSwitch) -> None:
    request = desk.open_missionary()
    with desk.engine.connect() as connection:
        installation = connection.execute(tables.desk.select()).mappings().one()["installation"]
        connection.execute(
            insert(tables.trade_order).values(
                client_order_id=client_order_id(installation, request.key, 0),
                missionary_id=request.key.missionary_id,
                role="task",
                task_index=0,
                account="trader",
                exchange="little",
                symbol="BTC/USD",
                side="buy",
                type="market",
                amount=Decimal(1),
                mode="live",
                status="intent",
            )
        )
    switch.halt()
    [row] = desk.rows()
    assert (row.status, row.reason) == (OrderStatus.CANCELLED, "not sent: the desk was halted")


def test_an_unreachable_venue_is_not_a_denial(desk: OrderDesk) -> None:
    request = replace(desk.open_missionary(), unit="percent")
    desk.venue.fault = lambda call: "unreachable"
    with pytest.raises(ExchangeUnreachable):
        tick(desk, request)
