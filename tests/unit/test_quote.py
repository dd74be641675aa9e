"""Quotes on the bus are JSON, and come back as they were."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from models.quote import Quote

NUMBERS = st.none() | st.decimals(0, 10**9, places=8)
INSTANTS = st.datetimes(timezones=st.just(UTC))


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS, INSTANTS, INSTANTS)
def test_a_quote_survives_the_bus(
    bid: Decimal | None,
    bid_amount: Decimal | None,
    ask: Decimal | None,
    ask_amount: Decimal | None,
    at: datetime,
    received_at: datetime,
) -> None:
    quote = Quote("okx", "BTC/USD:BTC-260327", bid, bid_amount, ask, ask_amount, at, received_at)
    assert Quote.from_message(json.loads(quote.to_json())) == quote


def test_the_price_is_the_middle_and_an_empty_side_has_none() -> None:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    whole = Quote("kraken", "BTC/USD", Decimal("100.0"), None, Decimal("101.0"), None, now, now)
    message = json.loads(whole.to_json())
    assert (message["exchange"], message["symbol"], message["price"]) == ("kraken", "BTC/USD", "100.5")
    half = Quote("kraken", "BTC/USD", None, None, Decimal("101.0"), None, now, now)
    assert half.price is None
    assert json.loads(half.to_json())["price"] is None
