"""How much is ordered: whole lots that fit, fees and slippage included."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from missiondesk.exchanges.contracts import contract_of
from missiondesk.orders.sizing import Denied, Means, size
from models.market import Instrument, Side
from models.order import AmountUnit
from tests.little_venue import BITCOIN
from tests.order_values import REQUEST

PERPETUAL = replace(
    BITCOIN, symbol="BTC/USD:USD", is_contract=True, settle="USD", lot=Decimal(1), min_amount=Decimal(1)
)
INVERSE = replace(
    PERPETUAL,
    symbol="BTC/USD:BTC",
    inverse=True,
    settle="BTC",
    contract_size=Decimal(100),
    min_cost=Decimal(0),
)
MEANS = Means(price=Decimal(100))


def positive(most: int) -> st.SearchStrategy[Decimal]:
    return st.decimals(min_value=Decimal("0.0001"), max_value=most, places=4)


fractions = st.decimals(min_value=0, max_value=Decimal("0.1"), places=4)
instruments = st.builds(
    lambda lot, taker, maker, min_cost: replace(
        BITCOIN, lot=lot, min_amount=lot, taker=taker, maker=maker, min_cost=min_cost
    ),
    lot=st.sampled_from([Decimal(1).scaleb(-digits) for digits in (8, 5, 3, 0)] + [Decimal("0.25")]),
    taker=fractions,
    maker=fractions,
    min_cost=st.sampled_from([Decimal(0), Decimal(5)]),
)
means = st.builds(
    Means,
    price=positive(100_000),
    slippage=fractions,
    free=st.fixed_dictionaries({"USD": positive(10**6), "BTC": positive(1000)}),
)
units: list[AmountUnit] = ["base", "quote", "percent"]


@given(instruments, means, st.sampled_from(units), positive(100), st.sampled_from(["buy", "sell"]))
def test_an_amount_is_whole_lots_above_the_minimum_and_never_more_than_asked_for(
    instrument: Instrument, means: Means, unit: AmountUnit, amount: Decimal, side: Side
) -> None:
    sized = size(replace(REQUEST, unit=unit, amount=amount, side=side), instrument, means)

    if isinstance(sized, Denied):
        assert sized.reason
        return
    assert sized % instrument.lot == 0
    assert sized >= instrument.min_amount
    assert sized * means.price >= instrument.min_cost
    worst = sized * means.price * (1 + means.slippage) * (1 + instrument.taker)
    free = means.free or {}
    nearly = 1 + Decimal(1).scaleb(-20)
    match unit, side:
        case "base", _:
            assert sized <= amount
        case "quote", _:
            assert worst <= amount * nearly
        case "percent", "buy":
            assert worst <= free["USD"] * amount / 100 * nearly
        case "percent", "sell":
            assert sized <= free["BTC"] * amount / 100


@given(
    instruments, means, st.sampled_from(units), positive(100), st.sampled_from(["buy", "sell"]), positive(50)
)
def test_a_reducing_order_is_never_larger_than_the_holding_or_what_is_free(
    instrument: Instrument, means: Means, unit: AmountUnit, amount: Decimal, side: Side, held: Decimal
) -> None:
    request = replace(REQUEST, unit=unit, amount=amount, side=side, reduce_only=True)
    sized = size(request, instrument, replace(means, reducible=held))
    if not isinstance(sized, Denied):
        assert sized <= held
        assert sized <= (means.free or {})["BTC"]


@pytest.mark.parametrize(
    ("unit", "amount", "side", "expected"),
    [
        ("base", "1.23456", "buy", "1.2345"),
        # 1000 / (100 · 1.01 · 1.0026)
        ("quote", "1000", "buy", "9.8753"),
        ("quote", "1000", "sell", "9.8753"),
        ("percent", "50", "buy", "4.9376"),
        ("percent", "50", "sell", "1"),
    ],
)
def test_fees_and_slippage_fit_inside(unit: AmountUnit, amount: str, side: Side, expected: str) -> None:
    request = replace(REQUEST, unit=unit, amount=Decimal(amount), side=side)
    free = {"USD": Decimal(1000), "BTC": Decimal(2)}
    sized = size(request, BITCOIN, Means(Decimal(100), slippage=Decimal("0.01"), free=free))
    assert sized == Decimal(expected)


@pytest.mark.parametrize(
    ("instrument", "unit", "amount", "expected"),
    [
        (PERPETUAL, "contracts", "3.7", "3"),
        (PERPETUAL, "base", "3.7", "3"),
        (PERPETUAL, "quote", "1000", "9"),
        (PERPETUAL, "percent", "50", "49"),  # half of 2000 USD, likewise
        (INVERSE, "contracts", "3", "3"),
        (INVERSE, "base", "5", "5"),  # 5 BTC at 100 are 500 USD: five contracts of 100
        (INVERSE, "quote", "1000", "9"),
        (INVERSE, "percent", "100", "98"),  # 20 BTC at 100, each dollar needs 0.2 and the fee of 0.0026
    ],
)
def test_contracts_are_sized_by_their_face_value(
    instrument: Instrument, unit: AmountUnit, amount: str, expected: str
) -> None:
    request = replace(
        REQUEST, symbol=instrument.symbol, unit=unit, amount=Decimal(amount), leverage=Decimal(5)
    )
    free = {"USD": Decimal(2000), "BTC": Decimal(20)}
    assert size(request, instrument, replace(MEANS, free=free)) == Decimal(expected)


@given(
    positive(10_000),
    st.sampled_from([PERPETUAL, INVERSE]),
    st.integers(1, 100),
    st.sampled_from(["buy", "sell"]),
    fractions,
)
def test_a_share_of_the_margin_never_needs_more_than_there_is(
    margin: Decimal, instrument: Instrument, leverage: int, side: Side, slippage: Decimal
) -> None:
    request = replace(
        REQUEST,
        symbol=instrument.symbol,
        side=side,
        unit="percent",
        amount=Decimal(100),
        leverage=Decimal(leverage),
    )
    assert instrument.settle is not None
    means = replace(MEANS, free={instrument.settle: margin}, slippage=slippage)
    sized = size(request, instrument, means)
    if isinstance(sized, Denied):
        return
    contract = contract_of(instrument)
    for price in (MEANS.price * (1 - slippage), MEANS.price * (1 + slippage)):
        needed = contract.worth(sized, price) * (1 / Decimal(leverage) + instrument.taker)
        assert needed <= margin * (1 + Decimal("1e-20"))


def test_without_free_margin_a_share_of_it_is_denied() -> None:
    request = replace(REQUEST, symbol=INVERSE.symbol, unit="percent", amount=Decimal(50))
    denied = size(request, INVERSE, replace(MEANS, free={"USD": Decimal(1000)}))
    assert denied == Denied("expected free BTC as margin to buy BTC/USD:BTC, got none")


Reducing = Literal["percent", "base"]


@pytest.mark.parametrize(
    ("unit", "amount", "free", "expected"),
    [("percent", "50", "9", "2"), ("base", "7", "9", "4"), ("percent", "100", "3.5", "3.5")],
)
def test_reducing_is_of_the_holding_and_of_what_is_free(
    unit: Reducing, amount: str, free: str, expected: str
) -> None:
    request = replace(REQUEST, unit=unit, amount=Decimal(amount), side="sell", reduce_only=True)
    reducing = replace(MEANS, reducible=Decimal(4), free={"BTC": Decimal(free)})
    assert size(request, BITCOIN, reducing) == Decimal(expected)


def test_nothing_to_reduce_is_denied() -> None:
    request = replace(REQUEST, side="sell", reduce_only=True)
    denied = size(request, BITCOIN, replace(MEANS, reducible=Decimal(0), free={}))
    assert denied == Denied("no open position in BTC/USD that a sell would reduce")
