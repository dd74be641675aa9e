"""How paper orders fill: from the book at once, or later by what traded through their price."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from missiondesk.exchanges.paper_fills import resting_fill, sweep
from missiondesk.exchanges.paper_passages import Passage, passages_of_bars, passages_since
from models.market import Level, Side, Trade
from tests.tape_venue import BITCOIN, NOON, SYMBOL, Hand, TapeVenue, a_trade

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)

LEVELS = (
    Level(Decimal(100), Decimal(1)),
    Level(Decimal(101), Decimal(2)),
    Level(Decimal(103), Decimal("0.5")),
)

amounts = st.decimals("0.0001", "10", places=4)


@pytest.mark.parametrize(
    ("amount", "taken"),
    [
        ("0.5", ["0.5"]),
        ("1", ["1"]),
        ("2.5", ["1", "1.5"]),
        ("3.5", ["1", "2", "0.5"]),
        ("9", ["1", "2", "0.5"]),
    ],
)
def test_a_market_order_takes_the_best_levels_first(amount: str, taken: list[str]) -> None:
    expected = [Level(level.price, Decimal(part)) for level, part in zip(LEVELS, taken, strict=False)]
    assert list(sweep(LEVELS, Decimal(amount))) == expected


def test_an_empty_book_fills_nothing() -> None:
    assert sweep((), Decimal(1)) == ()


@given(amounts, st.lists(st.tuples(st.integers(1, 200), amounts), max_size=8))
def test_a_sweep_never_takes_more_than_asked_or_there(
    amount: Decimal, levels: list[tuple[int, Decimal]]
) -> None:
    book = [Level(Decimal(price), held) for price, held in sorted(levels)]
    taken = sweep(book, amount)
    assert sum(part.amount for part in taken) == min(amount, sum(level.amount for level in book))
    assert all(0 < part.amount <= level.amount for part, level in zip(taken, book, strict=False))
    assert [part.price for part in taken] == [level.price for level in book][: len(taken)]


def through(low: str, high: str, volume: str) -> Passage:
    return Passage(NOON, Decimal(low), Decimal(high), Decimal(volume))


@pytest.mark.parametrize(
    ("side", "low", "high", "fills"),
    [
        ("buy", "100", "102", False),
        ("buy", "99.9", "102", True),
        ("sell", "98", "100", False),
        ("sell", "98", "100.1", True),
    ],
)
def test_touching_the_price_is_not_going_through_it(side: Side, low: str, high: str, fills: bool) -> None:
    passage = through(low, high, "50")
    filled = resting_fill(side, Decimal(100), Decimal(1), Decimal("0.01"), [passage], Decimal("0.1"))
    assert (filled > 0) == fills


def test_a_fill_is_a_share_of_the_volume_in_whole_lots() -> None:
    passages = [through("99", "101", "1.27"), through("100", "101", "9"), through("98", "99", "0.36")]
    filled = resting_fill("buy", Decimal(100), Decimal(1), Decimal("0.01"), passages, Decimal("0.1"))
    assert filled == Decimal("0.12") + Decimal("0.03")


@given(
    remaining=amounts,
    lot=st.sampled_from([Decimal("0.0001"), Decimal("0.01"), Decimal(1)]),
    passages=st.lists(st.tuples(st.integers(90, 110), st.integers(90, 110), amounts), max_size=8),
    participation=st.decimals("0.01", "1", places=2),
)
def test_a_fill_never_exceeds_what_is_left_nor_the_share(
    remaining: Decimal, lot: Decimal, passages: list[tuple[int, int, Decimal]], participation: Decimal
) -> None:
    made = [Passage(NOON, Decimal(min(a, b)), Decimal(max(a, b)), volume) for a, b, volume in passages]
    filled = resting_fill("sell", Decimal(100), remaining, lot, made, participation)
    traded = sum((passage.volume for passage in made if passage.high > 100), Decimal(0))
    assert 0 <= filled <= min(remaining, traded * participation)
    assert filled == remaining or filled % lot == 0


class TestPassages:
    def test_only_what_traded_after_an_instant_counts(self) -> None:
        tape = [a_trade(NOON - SECOND, "90"), a_trade(NOON, "91"), a_trade(NOON + SECOND, "92")]
        hand = Hand(NOON + MINUTE)
        assert passages_since(TapeVenue(tape, hand), BITCOIN, NOON, hand()) == [
            Passage(NOON + SECOND, Decimal(92), Decimal(92), Decimal(1))
        ]

    def test_each_minute_has_its_own(self) -> None:
        tape = [a_trade(NOON + place * SECOND, str(100 + place), "2") for place in (10, 20, 70)]
        hand = Hand(NOON + 2 * MINUTE)
        assert passages_since(TapeVenue(tape, hand), BITCOIN, NOON, hand()) == [
            Passage(NOON + 20 * SECOND, Decimal(110), Decimal(120), Decimal(4)),
            Passage(NOON + 70 * SECOND, Decimal(170), Decimal(170), Decimal(2)),
        ]

    @pytest.mark.parametrize(
        ("after", "bar"), [(timedelta(hours=2), MINUTE), (timedelta(days=1), 5 * MINUTE)]
    )
    def test_after_more_trades_than_one_answer_holds_whole_bars_go_on(
        self, after: timedelta, bar: timedelta
    ) -> None:
        tape = [a_trade(NOON + place * SECOND) for place in range(1, 7200)]
        tape += [a_trade(NOON + after - timedelta(minutes=30), "50"), a_trade(NOON + after - SECOND, "40")]
        hand = Hand(NOON + after)
        passages = passages_since(
            TapeVenue(sorted(tape, key=lambda trade: trade.at), hand), BITCOIN, NOON, hand()
        )
        assert [passage.until for passage in passages] == sorted({passage.until for passage in passages})
        assert passages[16].until == NOON + 1000 * SECOND
        assert min(passage.low for passage in passages) == 40
        assert passages[-1].until == hand()
        assert all((passage.until - NOON) % bar == timedelta(0) for passage in passages[17:])
        assert sum(passage.volume for passage in passages) <= len(tape)

    def test_nothing_traded_is_no_passage(self) -> None:
        hand = Hand(NOON)
        assert passages_since(TapeVenue([], hand), BITCOIN, NOON, hand()) == []

    def test_what_a_venue_no_longer_shows_by_trades_is_told_by_bars(self) -> None:
        tape = [a_trade(NOON + place * 10 * SECOND, str(100 - place)) for place in range(1, 61)]

        class NewestOnly(TapeVenue):
            def trades(self, symbol: str, *, since: datetime, limit: int = 1000) -> Sequence[Trade]:
                return super().trades(symbol, since=since, limit=limit)[-20:]

        hand = Hand(NOON + 10 * MINUTE)
        passages = passages_since(NewestOnly(tape, hand), BITCOIN, NOON, hand())
        assert [passage.until for passage in passages] == sorted(passage.until for passage in passages)
        assert passages[0].until == NOON + MINUTE
        assert sum(passage.volume for passage in passages) == pytest.approx(len(tape), abs=6)

    @pytest.mark.parametrize(("inverse", "size", "amount"), [(True, "100", "2"), (False, "0.01", "200")])
    def test_bars_of_contracts_are_counted_in_contracts(self, inverse: bool, size: str, amount: str) -> None:
        contract = replace(BITCOIN, is_contract=True, inverse=inverse, contract_size=Decimal(size))
        hand = Hand(NOON + 2 * MINUTE)
        bars = TapeVenue([a_trade(NOON, "100", "2")], hand).candles(SYMBOL, "1m", since=None, limit=5)
        assert [passage.volume for passage in passages_of_bars(bars, contract)] == [Decimal(amount)]
