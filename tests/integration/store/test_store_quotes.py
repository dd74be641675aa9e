"""Prices as a time series: exact, in the order they were heard, and forgotten when they are old."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Engine

from missiondesk.store.quotes import Quotes
from models.quote import Quote

START = datetime(2026, 1, 2, tzinfo=UTC)
BITCOIN, ETHER = ("kraken", "BTC/USD"), ("okx", "ETH/USD:ETH-260327")


def quoted(
    market: tuple[str, str], seconds: float, bid: str | None = "1.10", ask: str | None = "1.20"
) -> Quote:
    heard = START + timedelta(seconds=seconds)
    best_bid, best_ask = (None if price is None else Decimal(price) for price in (bid, ask))
    return Quote(*market, best_bid, Decimal("0.5"), best_ask, None, heard - timedelta(milliseconds=3), heard)


@pytest.fixture
def quotes(engine: Engine) -> Quotes:
    return Quotes(engine)


def test_quotes_come_back_as_they_were(quotes: Quotes) -> None:
    written = [
        quoted(BITCOIN, 1, bid="0.00000001", ask="123456789.123456789"),
        quoted(ETHER, 2, bid=None),
        quoted(BITCOIN, 2, ask=None),
    ]
    quotes.append(written)
    quotes.append([])
    assert list(quotes.between([BITCOIN, ETHER], START, START + timedelta(minutes=1))) == written


def test_a_period_begins_with_its_begin_and_ends_before_its_end(quotes: Quotes) -> None:
    quotes.append([quoted(BITCOIN, second) for second in range(10)] + [quoted(ETHER, 5)])
    found = quotes.between([BITCOIN], START + timedelta(seconds=3), START + timedelta(seconds=7))
    assert [(quote.symbol, quote.received_at.second) for quote in found] == [
        ("BTC/USD", second) for second in range(3, 7)
    ]


def test_the_order_is_that_of_hearing_over_many_pages(quotes: Quotes) -> None:
    bids = [str(number) for number in range(12_000)]
    quotes.append([quoted(BITCOIN, 0, bid=bid) for bid in bids])
    found = quotes.between([BITCOIN], START, START + timedelta(seconds=1))
    assert [str(quote.bid) for quote in found] == bids


def test_what_is_old_is_forgotten(quotes: Quotes) -> None:
    quotes.append([quoted(BITCOIN, 0)] * 10_001 + [quoted(BITCOIN, 60)])
    assert quotes.forget(START + timedelta(seconds=60)) == 10_001
    assert quotes.forget(START + timedelta(seconds=60)) == 0
    left = list(quotes.between([BITCOIN], START, START + timedelta(days=1)))
    assert left == [quoted(BITCOIN, 60)]
