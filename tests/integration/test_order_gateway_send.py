"""One order per place, whatever the venue answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from missiondesk.orders.restart import restart_walk
from models import tables
from models.errors import (
    CredentialsRefused,
    ExchangeUnreachable,
    LeaseLost,
    MissiondeskError,
    UnknownName,
    VenueClosed,
)
from models.order import OrderProgress, OrderStatus, TradeRequest
from tests.little_venue import BITCOIN, Fault, LittleVenue
from tests.order_desk import ACCOUNT, OrderDesk, at_place, little_desk


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Iterator[OrderDesk]:
    with little_desk(database_url, tmp_path) as desk:
        yield desk


def tick(desk: OrderDesk, request: TradeRequest) -> OrderProgress:
    return desk.gateway().work(request, desk.clock())


def once(venue: LittleVenue, call: str, fault: Fault) -> None:
    """The next such call misbehaves, later ones don't."""
    left = [fault]
    venue.fault = lambda made: left.pop() if made == call and left else None


def statuses(desk: OrderDesk) -> list[str]:
    return [str(row.status) for row in desk.rows()]


def test_a_market_order_fills_in_the_tick_that_sends_it(desk: OrderDesk) -> None:
    request = desk.open_missionary()

    progress = tick(desk, request)

    assert progress.done, progress.message
    assert (progress.rule, progress.filled, progress.average) == ("FILLED", Decimal("0.5"), Decimal(20000))
    [row], [order] = desk.rows(), desk.venue.accepted()
    assert (row.client_order_id, row.exchange_order_id) == (order.client_order_id, order.exchange_order_id)
    assert (row.status, row.cost, row.fee) == (OrderStatus.FILLED, Decimal(10000), Decimal(26))


def test_a_filled_place_is_never_sent_again(desk: OrderDesk) -> None:
    request = desk.open_missionary()
    for _ in range(3):
        assert tick(desk, request).done
    assert len(desk.venue.accepted()) == 1
    assert desk.gateway().filled(request.key)
    assert not desk.gateway().filled(at_place(request, 1).key)


def test_every_place_has_an_order_of_its_own(desk: OrderDesk) -> None:
    request = desk.open_missionary()
    leaf = replace(request, key=replace(request.key, leaf="0.1"))
    target = replace(request, key=replace(request.key, role="target", task_index=None))
    for place in (request, leaf, target, at_place(request, 1)):
        assert tick(desk, place).done
    assert len({row.client_order_id for row in desk.rows()}) == 4


def test_a_lost_answer_is_unknown_and_then_found(desk: OrderDesk) -> None:
    request = desk.open_missionary()
    once(desk.venue, "place", "lose answer")

    first = tick(desk, request)
    assert (first.done, first.rule, statuses(desk)) == (False, "UNKNOWN", ["unknown"])
    assert "2026-03-01 12:00:30 UTC" in first.message
    started = desk.gateway().started(request.key)
    assert started is not None and started.status is OrderStatus.UNKNOWN

    assert tick(desk, request).done
    assert len(desk.venue.accepted()) == 1


@pytest.mark.parametrize("fault", ["lose request", "unreachable"])
def test_a_lost_request_holds_the_place_until_it_can_no_longer_arrive(desk: OrderDesk, fault: Fault) -> None:
    request = desk.open_missionary()
    once(desk.venue, "place", fault)
    assert tick(desk, request).rule == "UNKNOWN"

    desk.clock.forward(30)
    assert tick(desk, request).rule == "UNKNOWN"
    assert desk.venue.accepted() == []

    desk.clock.forward(1)
    assert tick(desk, request).rule == "CANCELLED"
    assert desk.venue.accepted() == []
    assert tick(desk, request).done
    lost, sent = desk.rows()
    assert (lost.status, lost.reason) == (OrderStatus.CANCELLED, "never reached the venue")
    assert (sent.status, sent.attempt) == (OrderStatus.FILLED, 1)
    assert len(desk.venue.accepted()) == 1


def test_an_order_that_shows_late_is_taken_over(desk: OrderDesk) -> None:
    request = desk.open_missionary()
    once(desk.venue, "place", "slow to show")
    assert tick(desk, request).rule == "UNKNOWN"
    desk.clock.forward(4)
    assert tick(desk, request).rule == "UNKNOWN"
    desk.clock.forward(4)
    assert tick(desk, request).done
    assert len(desk.venue.accepted()) == 1


def test_a_refusal_of_the_venue_is_reported_and_the_next_tick_tries_anew(desk: OrderDesk) -> None:
    request = desk.open_missionary()
    once(desk.venue, "place", "reject")
    refused = tick(desk, request)
    assert (refused.done, refused.rule) == (False, "REJECTED")
    assert "insufficient funds" in refused.message
    assert desk.gateway().started(request.key) is None
    assert tick(desk, request).done
    assert statuses(desk) == ["rejected", "filled"]


def test_an_unreachable_venue_keeps_an_open_order_as_it_is(desk: OrderDesk) -> None:
    request = replace(desk.open_missionary(), price=Decimal(15000))
    assert tick(desk, request).rule == "OPEN"
    once(desk.venue, "find", "unreachable")
    held = tick(desk, request)
    assert (held.rule, statuses(desk)) == ("OPEN", ["open"])
    assert "little does not answer" in held.message
    assert "little does not answer" not in tick(desk, request).message


def test_an_unreachable_venue_before_sending_leaves_no_trace(desk: OrderDesk) -> None:
    request = replace(desk.open_missionary(), unit="percent", amount=Decimal(10))
    once(desk.venue, "balances", "unreachable")
    with pytest.raises(ExchangeUnreachable):
        tick(desk, request)
    assert desk.rows() == []
    assert tick(desk, request).done


def test_refused_keys_stop_the_mission_with_the_order_rejected(desk: OrderDesk) -> None:
    request = desk.open_missionary()

    def refuse(call: str) -> Fault | None:
        raise CredentialsRefused("invalid key")

    desk.venue.fault = refuse
    with pytest.raises(CredentialsRefused):
        tick(desk, request)
    assert statuses(desk) == ["rejected"]


def test_a_market_order_that_fills_slowly_is_followed(desk: OrderDesk) -> None:
    request = desk.open_missionary()
    desk.venue.liquidity = Decimal("0.4")
    assert tick(desk, request).rule == "OPEN"
    desk.venue.fill("0.3")
    progress = tick(desk, request)
    assert progress.done, progress.message
    assert progress.filled == Decimal("0.5")
    assert len(desk.rows()) == 1


def test_a_limit_order_rests_and_is_followed_without_a_second_one(desk: OrderDesk) -> None:
    request = replace(desk.open_missionary(), price=Decimal("15000.07"))
    progress = tick(desk, request)
    assert (progress.done, progress.rule) == (False, "OPEN")
    assert progress.message == "buy 0.5 BTC/USD at 15000 rests at little as 1, 0 of 0.5 filled"
    assert tick(desk, request).rule == "OPEN"
    desk.venue.fill("0.5")
    assert tick(desk, request).done


def test_after_the_timeout_only_the_remainder_is_ordered_again(desk: OrderDesk) -> None:
    request = replace(desk.open_missionary(), price=Decimal(15000), timeout_seconds=60)
    tick(desk, request)
    desk.venue.fill("0.2")

    desk.clock.forward(59)
    assert tick(desk, request).filled == Decimal("0.2")
    desk.clock.forward(1)
    progress = tick(desk, request)
    assert (progress.rule, progress.filled) == ("OPEN", Decimal("0.2"))
    first, second = desk.rows()
    assert (first.status, first.reason) == (OrderStatus.CANCELLED, "cancelled after 60 s")
    assert (second.amount, second.attempt) == (Decimal("0.3"), 1)

    desk.venue.fill("0.3")
    progress = tick(desk, request)
    assert (progress.done, progress.filled, progress.average) == (True, Decimal("0.5"), Decimal(15000))


def test_a_remainder_below_the_minimum_passes(desk: OrderDesk) -> None:
    request = replace(desk.open_missionary(), price=Decimal(15000), timeout_seconds=60)
    tick(desk, request)
    desk.venue.fill("0.4995")
    desk.clock.forward(60)
    progress = tick(desk, request)
    assert (progress.done, progress.filled) == (True, Decimal("0.4995"))
    assert len(desk.rows()) == 1


def test_without_a_fill_the_next_attempt_is_sized_anew(desk: OrderDesk) -> None:
    request = replace(
        desk.open_missionary(), amount=Decimal(1000), unit="quote", price=Decimal(10000), timeout_seconds=60
    )
    tick(desk, request)
    desk.clock.forward(60)
    anew = replace(request, price=Decimal(5000))
    assert tick(desk, anew).rule == "CANCELLED"
    tick(desk, anew)
    assert [row.amount for row in desk.rows()] == [Decimal("0.0997"), Decimal("0.1994")]


def test_an_order_cancelled_at_the_venue_is_tried_again(desk: OrderDesk) -> None:
    request = replace(desk.open_missionary(), price=Decimal(15000))
    tick(desk, request)
    [order] = desk.venue.accepted()
    desk.venue.cancel(order)
    assert tick(desk, request).rule == "CANCELLED"
    assert tick(desk, request).rule == "OPEN"
    assert statuses(desk) == ["cancelled", "open"]


def test_an_order_gone_from_the_venue_is_held_before_it_is_given_up(desk: OrderDesk) -> None:
    request = replace(desk.open_missionary(), price=Decimal(15000))
    tick(desk, request)
    desk.venue.path.unlink()
    desk.venue.__post_init__()
    desk.venue.quote("BTC/USD", "19990", "20000")
    assert tick(desk, request).rule == "UNKNOWN"
    desk.clock.forward(20)
    assert tick(desk, request).rule == "UNKNOWN"
    desk.clock.forward(1)
    assert tick(desk, request).rule == "CANCELLED"
    assert tick(desk, request).rule == "OPEN"
    assert statuses(desk) == ["cancelled", "open"]


def test_a_tick_without_the_lease_sends_nothing(desk: OrderDesk) -> None:
    request = desk.open_missionary()
    with pytest.raises(LeaseLost):
        desk.gateway("another-run").work(request, desk.clock())
    desk.lease(request.key.missionary_id, "flow-run-1", seconds=-1)
    with pytest.raises(LeaseLost):
        tick(desk, request)
    assert desk.rows() == []


def test_unknown_names_are_said_with_those_that_exist(desk: OrderDesk) -> None:
    request = desk.open_missionary()
    with pytest.raises(UnknownName, match=ACCOUNT):
        tick(desk, replace(request, account="nobody"))
    with pytest.raises(UnknownName, match="ETH/USD"):
        tick(desk, replace(request, symbol="BTC/EUR"))


def test_a_task_edited_to_another_side_after_a_fill_is_denied(desk: OrderDesk) -> None:
    request = replace(desk.open_missionary(), price=Decimal(15000), timeout_seconds=60)
    tick(desk, request)
    desk.venue.fill("0.2")
    desk.clock.forward(60)
    denied = tick(desk, replace(request, side="sell"))
    assert (denied.done, denied.rule) == (False, "DENIED")
    assert "missiondesk restart" in denied.message
    assert len(desk.venue.accepted()) == 1


def test_orders_of_an_expired_missionary_are_cancelled(desk: OrderDesk) -> None:
    request = desk.open_missionary()
    resting = replace(request, price=Decimal(15000))
    other = replace(desk.open_missionary(), price=Decimal(15000))
    tick(desk, resting)
    tick(desk, other)
    once(desk.venue, "cancel", "unreachable")
    assert desk.gateway().cancel_missionary(request.key.missionary_id) == 1
    assert desk.gateway().cancel_missionary(request.key.missionary_id) == 0
    assert [order.status for order in desk.venue.accepted()] == ["cancelled", "open"]


def test_a_restart_cancels_what_the_ended_walk_has_resting(desk: OrderDesk) -> None:
    request = replace(desk.open_missionary(), price=Decimal(15000))
    tick(desk, request)
    restart = restart_walk(desk.engine, desk.gateway("restart"), request.mission_id)
    assert restart.left == ()
    assert [order.status for order in desk.venue.accepted()] == ["cancelled"]
    assert [row.reason for row in desk.rows()] == ["its walk was restarted"]
    assert tick(desk, at_place(request, 1)).message == "missionary 1 has ended: no new orders"


def test_a_restart_tells_of_orders_that_it_could_not_cancel(desk: OrderDesk) -> None:
    request = replace(desk.open_missionary(), price=Decimal(15000))
    tick(desk, request)
    desk.venue.fault = lambda made: "unreachable" if made == "cancel" else None
    restart = restart_walk(desk.engine, desk.gateway("restart"), request.mission_id)
    [left] = restart.left
    assert left == f"buy 0.5 {request.symbol} at 15000 ({ACCOUNT}, little): little does not answer"
    assert statuses(desk) == ["open"]


def test_orders_are_followed_without_their_mission(desk: OrderDesk) -> None:
    request = replace(desk.open_missionary(), price=Decimal(15000))
    tick(desk, request)
    desk.venue.fill("0.5")
    assert desk.gateway("upkeep").follow_all() == 0
    assert statuses(desk) == ["filled"]


@pytest.mark.parametrize("error", [CredentialsRefused("wrong key"), ConnectionError("not translated")])
def test_an_account_that_can_not_be_reached_keeps_no_other_from_being_followed(
    desk: OrderDesk, error: Exception
) -> None:
    request = replace(desk.open_missionary(), price=Decimal(15000))
    for index in range(2):
        tick(desk, at_place(request, index))
    troubles: list[Exception] = [error]

    def fail_once(call: str) -> Fault | None:
        if troubles:
            raise troubles.pop()
        return None

    desk.venue.fill("0.5")
    desk.venue.fault = fail_once
    assert desk.gateway("upkeep").follow_all() == 1
    assert statuses(desk) == ["open", "filled"]


def test_orders_in_a_market_no_longer_listed_are_still_followed(desk: OrderDesk) -> None:
    request = replace(desk.open_missionary(), symbol="ETH/USD", price=Decimal(900))
    tick(desk, request)
    tick(desk, at_place(request, 1))
    desk.venue.fill("0.5")
    desk.venue.instrument_list = [BITCOIN]
    assert desk.gateway("upkeep").follow_all() == 1
    assert statuses(desk) == ["open", "filled"]
    assert desk.gateway().cancel_missionary(request.key.missionary_id) == 0
    assert statuses(desk) == ["cancelled", "filled"]


@pytest.mark.parametrize("error", [UnknownName("symbol", "ETH/USD", ()), VenueClosed("no longer listed")])
def test_a_venue_that_no_longer_knows_a_market_has_none_of_its_orders(
    desk: OrderDesk, error: MissiondeskError
) -> None:
    request = replace(desk.open_missionary(), symbol="ETH/USD", price=Decimal(900))
    tick(desk, request)

    def unlisted(call: str) -> Fault | None:
        raise error

    desk.venue.fault = unlisted
    desk.venue.instrument_list = [BITCOIN]
    assert desk.gateway().cancel_missionary(request.key.missionary_id) == 1
    desk.clock.forward(20)
    assert desk.gateway().cancel_missionary(request.key.missionary_id) == 1
    desk.clock.forward(1)
    assert desk.gateway().cancel_missionary(request.key.missionary_id) == 0
    assert (desk.rows()[0].status, desk.rows()[0].reason) == (OrderStatus.CANCELLED, "gone from the venue")


def test_intents_of_dead_ticks_are_taken_back(desk: OrderDesk) -> None:
    tick(desk, replace(desk.open_missionary(), price=Decimal(15000)))
    with desk.engine.connect() as connection:
        connection.execute(tables.trade_order.update().values(status="intent", sent_at=None))
    assert desk.gateway("upkeep").follow_all() == 1
    desk.clock.forward(11)
    assert desk.gateway("upkeep").follow_all() == 0
    assert statuses(desk) == ["cancelled"]
