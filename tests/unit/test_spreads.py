"""Spreads as quoted and as they can be traded, and the strategy that trades on them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from missiondesk.feeds.board import Board, Place
from missiondesk.strategies.diff import DiffRules, Triggers
from missiondesk.strategies.legs import Leg, Legs
from missiondesk.strategies.pair_trading import PairTrading
from missiondesk.strategies.replay import ReplayTrader, replayed, replayed_instrument
from missiondesk.strategies.report import Kind, Report
from missiondesk.strategies.spreads import Pair
from missiondesk.strategies.ticker import TickerStrategy
from models.quote import Quote

START = datetime(2026, 1, 2, tzinfo=UTC)
A, B = Place("okx", "BTC/USD:BTC-260327"), Place("kraken", "BTC/USD")
PRICES = st.decimals(1, 10**6, places=2)
FEES = st.decimals(0, "0.01", places=4)


def quoted(place: Place, bid: Decimal | str | None, ask: Decimal | str | None, second: float = 0) -> Quote:
    heard = START + timedelta(seconds=second)
    sides = [None if price is None else Decimal(price) for price in (bid, ask)]
    return Quote(*place, sides[0], Decimal(1), sides[1], Decimal(1), heard, heard)


def board_of(*quotes: Quote) -> Board:
    board = Board()
    for quote in quotes:
        board.put(quote)
    return board


def test_a_spread_is_what_is_quoted_and_what_is_left_of_it() -> None:
    board = board_of(quoted(A, "105", "106"), quoted(B, "99", "100"))
    spread = Pair(A, B, Decimal("0.001"), Decimal("0.002")).spread(board, START)
    assert (spread.ask_diff, spread.bid_diff) == (Decimal(6), Decimal(6))
    assert spread.sell_a == Decimal("105") * Decimal("0.999") - Decimal("100") * Decimal("1.002")
    assert spread.sell_b == Decimal("99") * Decimal("0.998") - Decimal("106") * Decimal("1.001")
    assert spread.skipped == ()


def test_an_empty_or_old_side_is_left_out_and_said() -> None:
    half = Pair(A, B).spread(board_of(quoted(A, None, "106"), quoted(B, "99", "100")), START)
    assert (half.ask_diff, half.bid_diff, half.sell_a, half.sell_b) == (Decimal(6), None, None, Decimal(-7))
    assert half.skipped == ("okx:BTC/USD:BTC-260327 has no bid",)
    later = START + timedelta(seconds=61)
    fresh = quoted(B, "99", "100", second=61)
    old = Pair(A, B).spread(board_of(quoted(A, "105", "106"), fresh), later)
    assert (old.ask_diff, old.bid_diff, old.sell_a, old.sell_b) == (None, None, None, None)
    assert old.skipped == ("the quote of okx:BTC/USD:BTC-260327 is 61 s old, needs at most 60 s",)


@given(PRICES, PRICES, PRICES, PRICES, FEES, FEES)
def test_there_and_back_at_once_never_earns(
    a_bid: Decimal, a_width: Decimal, b_bid: Decimal, b_width: Decimal, fee_a: Decimal, fee_b: Decimal
) -> None:
    board = board_of(quoted(A, a_bid, a_bid + a_width), quoted(B, b_bid, b_bid + b_width))
    spread = Pair(A, B, fee_a, fee_b).spread(board, START)
    assert spread.sell_a is not None and spread.sell_b is not None
    assert spread.sell_a + spread.sell_b < 0


def session(
    quotes: Sequence[Quote], triggers: Triggers, amount: Decimal = Decimal(1), fee: Decimal = Decimal(0)
) -> tuple[list[Report], PairTrading]:
    """What a replay of the strategy says, and the strategy afterwards."""
    board = Board()
    trader = ReplayTrader(board, {A: fee, B: fee})
    legs = Legs(*(Leg("paper", replayed_instrument(place, fee)) for place in (A, B)))
    rules = DiffRules(Pair(A, B, fee, fee), triggers)
    strategy = PairTrading(rules, legs, amount, trader, patience=timedelta(seconds=30))
    return list(replayed(quotes, strategy, board, trader)), strategy


def texts(reports: Sequence[Report], kind: Kind) -> list[str]:
    return [report.text for report in reports if report.kind is kind]


def test_a_wide_spread_is_sold_and_bought_back_when_it_closes() -> None:
    quotes = [
        quoted(A, "100", "101", 0),
        quoted(B, "100", "101", 1),
        quoted(A, "108", "109", 2),  # sell a at 108, buy b at 101
        quoted(A, "104", "105", 3),  # back: 100 - 105 = -5, so 2 would be left
        quoted(A, "101", "102", 4),  # back: -2, so 5 are left
    ]
    reports, strategy = session(quotes, Triggers(Decimal(5), Decimal(3)), Decimal(2))
    assert texts(reports, Kind.TRADE) == [
        "open sell okx:BTC/USD:BTC-260327 buy kraken:BTC/USD: spread 7",
        "close sell kraken:BTC/USD buy okx:BTC/USD:BTC-260327: spread -2, left 5",
        "closed: earned 10 so far",
    ]
    assert [said.split(" ", 1)[1] for said in texts(reports, Kind.ORDER)] == [
        "okx sell 2 BTC/USD:BTC-260327 at market: filled, 2 filled at 108",
        "kraken buy 2 BTC/USD at market: filled, 2 filled at 101",
        "okx buy 2 BTC/USD:BTC-260327 at market: filled, 2 filled at 102",
        "kraken sell 2 BTC/USD at market: filled, 2 filled at 100",
    ]
    assert strategy.earned == 10


@st.composite
def sessions(draw: st.DrawFn) -> list[Quote]:
    """Quotes of both markets, some with empty sides, some after a long silence."""
    steps = draw(st.lists(st.tuples(st.booleans(), PRICES, PRICES, st.integers(0, 90)), max_size=40))
    second, quotes = 0, []
    for first, bid, width, pause in steps:
        second += pause
        empty = pause % 10 == 7
        quotes.append(quoted(A if first else B, None if empty else bid, bid + width, second))
    return quotes


@given(sessions(), st.decimals(0, 1000, places=1), st.decimals(0, 1000, places=1), FEES)
def test_a_session_says_the_same_each_time_and_earns_only_above_its_trigger(
    quotes: list[Quote], open_above: Decimal, close_above: Decimal, fee: Decimal
) -> None:
    reports, strategy = session(quotes, Triggers(open_above, close_above), fee=fee)
    assert session(quotes, Triggers(open_above, close_above), fee=fee)[0] == reports
    said = [text.split()[0] for text in texts(reports, Kind.TRADE)]
    rounds = len(said) // 3
    assert said == ["open", "close", "closed:"] * rounds + ["open"] * (len(said) % 3)
    ids = {text.split()[0] for text in texts(reports, Kind.ORDER)}
    assert len(ids) == 4 * rounds + 2 * (len(said) % 3)
    assert strategy.held.lead.amount + strategy.held.cover.amount == 0
    if len(said) % 3 == 0:
        assert strategy.earned >= close_above * rounds


def test_the_ticker_says_every_quote() -> None:
    board = Board()
    quotes = [quoted(A, "1.50", None), quoted(B, "2", "3", 1)]
    reports = list(replayed(quotes, TickerStrategy(), board, ReplayTrader(board, {})))
    assert [str(report) for report in reports] == [
        "2026-01-02 00:00:00.000000 price okx:BTC/USD:BTC-260327 bid 1.50 (1) ask empty",
        "2026-01-02 00:00:01.000000 price kraken:BTC/USD bid 2 (1) ask 3 (1)",
    ]
