"""What fills add up to."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from missiondesk.orders.entry import Holding, holding_after
from missiondesk.orders.notional import gain
from models.market import Instrument
from models.order import Order
from tests.little_venue import BITCOIN
from tests.order_values import order

LINEAR = replace(BITCOIN, is_contract=True)
INVERSE = replace(LINEAR, inverse=True, contract_size=Decimal(100))


def buy(amount: str, at: str) -> Order:
    return order(amount=amount, average=Decimal(at))


def sell(amount: str, at: str) -> Order:
    return order(amount=amount, average=Decimal(at), side="sell")


def test_the_entry_is_the_volume_weighted_price_of_what_is_open() -> None:
    holding = holding_after([buy("1", "100"), buy("3", "200")], BITCOIN)
    assert holding == Holding(Decimal(4), Decimal(175))


def test_reducing_leaves_the_entry_and_realises_the_difference() -> None:
    holding = holding_after([buy("2", "100"), sell("0.5", "140")], BITCOIN)
    assert holding == Holding(Decimal("1.5"), Decimal(100), Decimal(20))


def test_a_closed_holding_starts_anew() -> None:
    holding = holding_after([buy("2", "100"), sell("2", "90"), buy("1", "80")], BITCOIN)
    assert holding == Holding(Decimal(1), Decimal(80), Decimal(-20))


def test_coins_from_elsewhere_make_no_short_spot_holding() -> None:
    assert holding_after([sell("5", "100"), buy("1", "80")], BITCOIN).amount == 1


def test_contracts_can_cross_zero() -> None:
    holding = holding_after([buy("1", "100"), sell("3", "110"), buy("1", "90")], LINEAR)
    assert holding == Holding(Decimal(-1), Decimal(110), Decimal(30))


def test_inverse_contracts_average_by_what_they_earn() -> None:
    holding = holding_after([buy("1", "100"), buy("1", "300")], INVERSE)
    assert holding.entry_price == Decimal(150)
    # 1/100 + 1/300 bought, 2/150 held: no gain either way
    assert gain(INVERSE, Decimal(2), Decimal(150), Decimal(150)) == 0


def test_what_was_held_before_counts_from_its_price() -> None:
    before = Holding(Decimal(2), Decimal(100))
    assert holding_after([sell("1", "90")], BITCOIN, before) == Holding(
        Decimal(1), Decimal(100), Decimal(-10)
    )


def test_orders_without_a_fill_change_nothing() -> None:
    assert holding_after([order(status="denied"), order(status="open")], BITCOIN) == Holding()


amounts = st.decimals(min_value=Decimal("0.1"), max_value=100, places=1)
fills = st.lists(
    st.builds(
        lambda amount, price, side: order(amount=amount, average=price, side=side),
        amounts,
        amounts,
        st.sampled_from(["buy", "sell"]),
    ),
    max_size=12,
)


@given(fills, amounts, st.sampled_from([LINEAR, INVERSE]))
def test_realised_and_unrealised_are_what_was_paid_and_got(
    orders: list[Order], price: Decimal, instrument: Instrument
) -> None:
    """Against plain cash accounting: linear in quote at any price; inverse in base, by the reciprocal."""
    holding = holding_after(orders, instrument)
    assert holding.amount == sum((o.filled if o.side == "buy" else -o.filled for o in orders), Decimal(0))
    if holding.amount != 0:
        assert min(o.average or 0 for o in orders) <= holding.entry_price * (1 + Decimal("1e-9"))
        assert max(o.average or 0 for o in orders) >= holding.entry_price * (1 - Decimal("1e-9"))
    if instrument.inverse:
        return
    cash = sum(((o.average or 0) * (o.filled if o.side == "sell" else -o.filled) for o in orders), Decimal(0))
    open_gain = gain(instrument, holding.amount, holding.entry_price, price)
    assert abs(holding.realised + open_gain - (cash + holding.amount * price)) < Decimal("1e-12")
