"""What a market is called, and which contract a rolling name stands for on which day."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from missiondesk.market_names import FORMS, Delivery, delivery_day, market_of
from models.errors import InputRefused

START = datetime(2020, 1, 1, tzinfo=UTC)
INSTANTS = st.timedeltas(timedelta(0), timedelta(days=15 * 365)).map(lambda past: START + past)


def test_a_name_is_an_exchange_and_a_symbol() -> None:
    now = datetime(2022, 5, 13, 16, 27, tzinfo=UTC)
    places = {
        name: (market_of(name, now).exchange, market_of(name, now).symbol)
        for name in (
            "okex_future_btcusd_thisweek",
            "okex_future_ethusd_nextweek",
            "okex_future_btcusd_quarter",
            "bitmex_future_btcusd",
            "kraken:BTC/USD",
            "okx:BTC/USD:BTC-220527",
        )
    }
    assert places == {
        "okex_future_btcusd_thisweek": ("okx", "BTC/USD:BTC-220520"),
        "okex_future_ethusd_nextweek": ("okx", "ETH/USD:ETH-220527"),
        "okex_future_btcusd_quarter": ("okx", "BTC/USD:BTC-220624"),
        "bitmex_future_btcusd": ("bitmex", "BTC/USD:BTC"),
        "kraken:BTC/USD": ("kraken", "BTC/USD"),
        "okx:BTC/USD:BTC-220527": ("okx", "BTC/USD:BTC-220527"),
    }


def test_rolling_names_are_the_contracts_that_okx_lists_under_these_aliases(shared_data: Path) -> None:
    listed = json.loads((shared_data / "wire/okx/rest/instruments_FUTURES_2022-05.json").read_text())["data"]
    recorded_at = datetime(2022, 5, 13, 16, 23, 16, tzinfo=UTC)
    aliases = {
        Delivery.THIS_WEEK: "this_week",
        Delivery.NEXT_WEEK: "next_week",
        Delivery.QUARTER: "quarter",
    }
    for delivery, alias in aliases.items():
        expiries = {
            datetime.fromtimestamp(int(contract["expTime"]) / 1000, UTC)
            for contract in listed
            if contract["alias"] == alias and contract["uly"] in ("BTC-USD", "ETH-USD")
        }
        assert {expiry.date() for expiry in expiries} == {delivery_day(delivery, recorded_at)}
        assert {expiry.hour for expiry in expiries} == {8}


@given(INSTANTS)
def test_deliveries_are_three_different_fridays_ahead(now: datetime) -> None:
    this_week, next_week, quarter = (delivery_day(delivery, now) for delivery in Delivery)
    assert {day.weekday() for day in (this_week, next_week, quarter)} == {4}
    delivered_at = datetime(this_week.year, this_week.month, this_week.day, 8, tzinfo=UTC)
    assert timedelta(0) < delivered_at - now <= timedelta(weeks=1)
    assert next_week - this_week == timedelta(weeks=1)
    assert timedelta(weeks=2) <= quarter - this_week <= timedelta(weeks=15)
    assert quarter.month in (3, 6, 9, 12)


def test_a_name_rolls_at_the_hour_of_delivery() -> None:
    friday = datetime(2022, 5, 20, 8, tzinfo=UTC)
    assert delivery_day(Delivery.THIS_WEEK, friday - timedelta(seconds=1)) == date(2022, 5, 20)
    assert delivery_day(Delivery.THIS_WEEK, friday) == date(2022, 5, 27)


@pytest.mark.parametrize(
    "name", ["okex_future_ltcusd_thisweek", "okex_future_btcusd", "BTC/USD", "kraken:BTCUSD", "kraken:", ""]
)
def test_a_wrong_name_is_answered_with_the_forms(name: str) -> None:
    with pytest.raises(InputRefused) as refused:
        market_of(name, datetime(2022, 5, 13, tzinfo=UTC))
    assert all(form in str(refused.value) for form in FORMS)
    assert repr(name) in str(refused.value)
