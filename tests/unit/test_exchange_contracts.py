"""Positions in contracts: what they are worth, what they earn, and that they are net."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from missiondesk.exchanges.contracts import Contract, NetPosition
from models.market import Side

LINEAR = Contract(Decimal("0.01"), inverse=False)
INVERSE = Contract(Decimal(100), inverse=True)

amounts = st.integers(1, 500).map(Decimal)
prices = st.decimals("1", "100000", places=1)
sides: st.SearchStrategy[Side] = st.sampled_from(["buy", "sell"])
contracts = st.sampled_from([LINEAR, INVERSE])
trades = st.lists(st.tuples(sides, amounts, prices), min_size=1, max_size=12)

NEARLY = Decimal("1e-6")


@pytest.mark.parametrize(
    ("contract", "amount", "entry", "price", "earned"),
    [
        (LINEAR, "10", "50000", "51000", "100"),
        (LINEAR, "-10", "50000", "51000", "-100"),
        (INVERSE, "10", "50000", "62500", "0.004"),
        (INVERSE, "-10", "50000", "40000", "0.005"),
        (INVERSE, "10", "50000", "40000", "-0.005"),
    ],
)
def test_profit_is_paid_in_the_settlement_currency(
    contract: Contract, amount: str, entry: str, price: str, earned: str
) -> None:
    assert contract.gain(Decimal(amount), Decimal(entry), Decimal(price)) == Decimal(earned)


@given(contracts, amounts, prices)
def test_the_mean_price_is_what_the_worth_says(contract: Contract, amount: Decimal, price: Decimal) -> None:
    assert contract.mean_price(amount, contract.worth(amount, price)) == price


def test_enlarging_averages_the_entry_by_what_it_is_worth() -> None:
    linear, _ = NetPosition(Decimal(10), Decimal(100)).traded(LINEAR, "buy", Decimal(10), Decimal(300))
    assert (linear.amount, linear.entry_price) == (20, 200)
    inverse, _ = NetPosition(Decimal(10), Decimal(100)).traded(INVERSE, "buy", Decimal(10), Decimal(300))
    assert (inverse.amount, inverse.entry_price) == (20, 150)


def test_beyond_zero_the_other_side_begins_at_the_new_price() -> None:
    turned, realised = NetPosition(Decimal(10), Decimal(50_000)).traded(
        LINEAR, "sell", Decimal(25), Decimal(51_000)
    )
    assert turned == NetPosition(Decimal(-15), Decimal(51_000))
    assert realised == 100


@given(contracts, trades)
def test_what_was_realised_and_what_is_not_is_what_the_cash_flows_were(
    contract: Contract, trades: list[tuple[Side, Decimal, Decimal]]
) -> None:
    """Marked at the last price, a position has earned what its buys and sells differ in worth."""
    position, realised, flow = NetPosition(), Decimal(0), Decimal(0)
    for side, amount, price in trades:
        position, gained = position.traded(contract, side, amount, price)
        realised += gained
        sign = 1 if side == "sell" else -1
        flow += sign * contract.worth(amount, price)
    last = trades[-1][2]
    unrealised = contract.gain(position.amount, position.entry_price, last) if position.amount else Decimal(0)
    held = contract.worth(abs(position.amount), last) * (1 if position.amount > 0 else -1)
    earned = -(flow + held) if contract.inverse else flow + held
    assert abs(realised + unrealised - earned) <= NEARLY * max(
        1, abs(earned), contract.worth(Decimal(500), last)
    )


@given(contracts, trades)
def test_a_position_is_net_and_has_an_entry_exactly_when_it_is_open(
    contract: Contract, trades: list[tuple[Side, Decimal, Decimal]]
) -> None:
    positions = [NetPosition()]
    for side, amount, price in trades:
        positions.append(positions[-1].traded(contract, side, amount, price)[0])
    for (before, after), (side, amount, price) in zip(pairwise(positions), trades, strict=True):
        assert after.amount == before.amount + (amount if side == "buy" else -amount)
        assert (after.entry_price > 0) == (after.amount != 0)
        if amount <= before.reducible(side) and after.amount:
            assert after.entry_price == before.entry_price
        if before.reducible(side) == 0 and before.amount:
            low, high = sorted((before.entry_price, price))
            assert low - NEARLY <= after.entry_price <= high + NEARLY
