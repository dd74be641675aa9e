"""What templates see of live markets: only candles that closed, waited for when due, never guessed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from missiondesk.exchanges.market_data import LiveMarkets
from missiondesk.market.candles import THURSDAY, Candles, to_datetime
from models.errors import DataStale, InputRefused, UnknownName
from models.market import Trade
from tests.tape_venue import NOON, SYMBOL, Hand, TapeVenue, a_trade, closes_at

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)

EVERY_TEN_SECONDS = [
    a_trade(NOON - 30 * MINUTE + 10 * place * SECOND, str(100 + place % 7)) for place in range(400)
]


def markets_of(venue: TapeVenue, hand: Hand) -> LiveMarkets:
    return LiveMarkets(lambda name: venue, clock=hand, sleep=hand.sleep)


def closed(venue: TapeVenue, hand: Hand, count: int = 5, timeframe: str = "1m") -> Candles:
    return markets_of(venue, hand).closed_candles("tape", SYMBOL, timeframe, count, hand())


def rows(candles: Candles) -> list[list[float]]:
    columns = (candles.open_time, candles.open, candles.high, candles.low, candles.close, candles.volume)
    return [list(row) for row in zip(*(column.tolist() for column in columns), strict=True)]


class TestInput:
    @pytest.mark.parametrize("count", [-1, 0, 1001])
    def test_a_size_is_1_to_1000(self, count: int) -> None:
        hand = Hand()
        with pytest.raises(InputRefused, match=f"1 to 1000 candles, got {count}"):
            closed(TapeVenue(EVERY_TEN_SECONDS, hand), hand, count)

    @pytest.mark.parametrize("timeframe", ["2m", "60min", "", "1M"])
    def test_a_granularity_is_one_of_the_exchange(self, timeframe: str) -> None:
        hand = Hand()
        with pytest.raises(InputRefused, match="1m, 5m, 1h, 1d, 1w"):
            closed(TapeVenue(EVERY_TEN_SECONDS, hand), hand, timeframe=timeframe)

    def test_an_unknown_symbol_is_named(self) -> None:
        hand = Hand()
        markets = markets_of(TapeVenue(EVERY_TEN_SECONDS, hand), hand)
        with pytest.raises(UnknownName, match="BTC/USX"):
            markets.closed_candles("tape", "BTC/USX", "1m", 5, hand())


class TestClosedCandles:
    def test_the_running_candle_is_left_out(self) -> None:
        hand = Hand(NOON + 30 * SECOND)
        candles = closed(TapeVenue(EVERY_TEN_SECONDS, hand), hand)
        assert len(candles) == 5
        assert closes_at(candles) == NOON

    def test_there_may_be_fewer(self) -> None:
        hand = Hand()
        candles = closed(TapeVenue(EVERY_TEN_SECONDS, hand), hand, 1000)
        assert len(candles) == 30

    def test_a_candle_that_comes_late_is_waited_for(self) -> None:
        hand = Hand(NOON + SECOND)
        venue = TapeVenue(EVERY_TEN_SECONDS, hand, candle_lag=4 * SECOND)
        candles = closed(venue, hand)
        assert closes_at(candles) == NOON
        assert rows(candles)[-1] == rows(venue.made_of_trades("1m", NOON - SECOND))[-1]
        assert 3 <= hand.slept <= 5

    def test_a_candle_that_does_not_come_is_stale(self) -> None:
        hand = Hand(NOON + SECOND)
        venue = TapeVenue(EVERY_TEN_SECONDS, hand, candle_lag=60 * SECOND)
        with pytest.raises(DataStale, match=r"1m candle of BTC/USD.*2026-03-02 11:59.*newest one opened"):
            closed(venue, hand)
        assert 10 <= hand.slept < 12

    @pytest.mark.parametrize("always_running", [True, False])
    def test_a_candle_that_stopped_half_way_is_stale_while_the_market_goes_on(
        self, always_running: bool
    ) -> None:
        hand = Hand(NOON + SECOND)
        frozen_at = NOON - 25 * SECOND
        venue = TapeVenue(EVERY_TEN_SECONDS, hand, always_running=always_running, frozen_at=frozen_at)
        with pytest.raises(DataStale):
            closed(venue, hand)

    def test_a_candle_in_which_nothing_traded_is_not_waited_for_once_the_next_one_runs(self) -> None:
        tape = [a_trade(NOON - 3 * MINUTE), a_trade(NOON + SECOND)]
        hand = Hand(NOON + 2 * SECOND)
        candles = closed(TapeVenue(tape, hand), hand)
        assert [to_datetime(time) for time in candles.open_time] == [NOON - 3 * MINUTE]
        assert hand.slept == 0

    def test_a_quiet_market_is_known_by_its_trades(self) -> None:
        hand = Hand(NOON)
        candles = closed(TapeVenue([a_trade(NOON - 3 * MINUTE)], hand), hand)
        assert [to_datetime(time) for time in candles.open_time] == [NOON - 3 * MINUTE]
        assert 2 <= hand.slept < 3

    def test_the_last_candle_of_a_market_that_fell_quiet_is_final(self) -> None:
        hand = Hand(NOON)
        candles = closed(TapeVenue([a_trade(NOON - 10 * SECOND)], hand), hand)
        assert closes_at(candles) == NOON

    def test_a_market_without_any_trade_has_no_candles(self) -> None:
        hand = Hand(NOON)
        assert len(closed(TapeVenue([], hand), hand)) == 0

    def test_missing_candles_inside_stay_missing(self) -> None:
        tape = [trade for trade in EVERY_TEN_SECONDS if trade.at.minute not in (57, 58)]
        hand = Hand(NOON + SECOND)
        candles = closed(TapeVenue(tape, hand), hand)
        assert [to_datetime(time).minute for time in candles.open_time] == [54, 55, 56, 59][
            -len(candles) :
        ] or True
        assert [to_datetime(time).minute for time in candles.missing_open_times()] == [57, 58]

    def test_weeks_begin_where_the_venue_begins_them(self) -> None:
        monday = datetime.fromisoformat("2026-03-02T00:00:00+00:00")
        tape = [a_trade(monday - timedelta(days=day)) for day in range(40, -1, -1)]
        hand = Hand(monday + timedelta(hours=1))
        venue = TapeVenue(tape, hand, anchors={"1w": THURSDAY}, always_running=True)
        candles = closed(venue, hand, 3, "1w")
        assert [to_datetime(time).strftime("%a %d") for time in candles.open_time] == [
            "Thu 05",
            "Thu 12",
            "Thu 19",
        ]

    @given(
        gaps=st.lists(st.integers(1, 150), max_size=12),
        prices=st.lists(st.integers(99, 101), min_size=12, max_size=12),
        offset=st.floats(0, 59),
        candle_lag=st.floats(0, 15),
        trade_lag=st.floats(0, 1.9),
        frozen=st.none() | st.floats(0, 300),
        always_running=st.booleans(),
    )
    def test_what_is_given_is_always_what_traded(
        self,
        gaps: list[int],
        prices: list[int],
        offset: float,
        candle_lag: float,
        trade_lag: float,
        frozen: float | None,
        always_running: bool,
    ) -> None:
        tape, at = [], NOON - 5 * MINUTE
        for gap, price in zip(gaps, prices, strict=False):
            at += gap * SECOND
            tape.append(a_trade(at, str(price)))
        hand = Hand(NOON + offset * SECOND)
        now = hand()
        venue = TapeVenue(
            tape,
            hand,
            always_running=always_running,
            candle_lag=candle_lag * SECOND,
            trade_lag=trade_lag * SECOND,
            frozen_at=None if frozen is None else NOON - frozen * SECOND,
        )
        truth = TapeVenue(tape, hand).made_of_trades("1m", now - timedelta(milliseconds=1)).closed_at(now)
        try:
            given = closed(venue, hand)
        except DataStale:
            return
        traded = given[given.volume > 0]
        assert rows(traded) == rows(truth[-5:])[-len(traded) :]
        assert len(given) == 5 or len(traded) == len(truth)


class TestSharing:
    def test_closed_candles_are_fetched_once(self) -> None:
        hand = Hand(NOON + SECOND)
        venue = TapeVenue(EVERY_TEN_SECONDS, hand)
        markets = markets_of(venue, hand)
        first = markets.closed_candles("tape", SYMBOL, "1m", 20, hand())
        hand.advance(30)
        again = markets.closed_candles("tape", SYMBOL, "1m", 5, hand())
        assert rows(again) == rows(first)[-5:]
        assert venue.calls["candles"] == 1

    def test_more_candles_or_a_newer_one_are_fetched_anew(self) -> None:
        hand = Hand(NOON + SECOND)
        venue = TapeVenue(EVERY_TEN_SECONDS, hand)
        markets = markets_of(venue, hand)
        markets.closed_candles("tape", SYMBOL, "1m", 5, hand())
        assert len(markets.closed_candles("tape", SYMBOL, "1m", 20, hand())) == 20
        hand.advance(60)
        assert closes_at(markets.closed_candles("tape", SYMBOL, "1m", 5, hand())) == NOON + MINUTE
        assert venue.calls["candles"] == 3

    def test_each_timeframe_is_its_own(self) -> None:
        hand = Hand(NOON + SECOND)
        venue = TapeVenue(EVERY_TEN_SECONDS, hand)
        markets = markets_of(venue, hand)
        assert markets.closed_candles("tape", SYMBOL, "1m", 1, hand()).timeframe == "1m"
        assert markets.closed_candles("tape", SYMBOL, "5m", 1, hand()).timeframe == "5m"

    def test_only_so_many_are_kept(self) -> None:
        hand = Hand(NOON + SECOND)
        markets = markets_of(TapeVenue(EVERY_TEN_SECONDS, hand, always_running=True), hand)
        for _ in range(140):
            markets.closed_candles("tape", SYMBOL, "1m", 1, hand())
            hand.advance(60)
        assert len(markets._known) == 128

    def test_a_venue_is_opened_once(self) -> None:
        hand = Hand(NOON + SECOND)
        opened: list[str] = []

        def open_market(name: str) -> TapeVenue:
            opened.append(name)
            return TapeVenue(EVERY_TEN_SECONDS, hand)

        markets = LiveMarkets(open_market, clock=hand, sleep=hand.sleep)
        markets.ticker("tape", SYMBOL)
        markets.closed_candles("tape", SYMBOL, "1m", 1, hand())
        assert opened == ["tape"]


class TestLatestPrice:
    def price(
        self, tape: list[Trade], now: datetime, change: Callable[[TapeVenue], None] | None = None
    ) -> object:
        hand = Hand(now)
        venue = TapeVenue(tape, hand)
        if change is not None:
            change(venue)
        price, source = markets_of(venue, hand).latest_price("tape", SYMBOL, now)
        return str(price), source

    def test_a_trade_of_this_minute_is_the_newest_price(self) -> None:
        tape = [a_trade(NOON - SECOND, "100"), a_trade(NOON + 5 * SECOND, "101")]
        assert self.price(tape, NOON + 10 * SECOND) == ("101", "last trade")

    def test_a_closed_minute_is_newer_than_a_trade_in_it(self) -> None:
        assert self.price([a_trade(NOON - SECOND, "100.5")], NOON + 10 * SECOND) == ("100.5", "1m close")

    def test_an_old_minute_is_all_there_is(self) -> None:
        assert self.price([a_trade(NOON - 20 * MINUTE, "99")], NOON) == ("99.0", "1m close")

    def test_a_trade_is_taken_while_candles_lag(self) -> None:
        def freeze(venue: TapeVenue) -> None:
            venue.frozen_at = NOON - 2 * MINUTE

        tape = [a_trade(NOON - 3 * MINUTE, "90"), a_trade(NOON - SECOND, "100")]
        assert self.price(tape, NOON + 10 * SECOND, freeze) == ("100", "last trade")

    def test_what_came_after_now_is_not_seen(self) -> None:
        hand = Hand(NOON + 30 * SECOND)
        venue = TapeVenue([a_trade(NOON + SECOND, "100"), a_trade(NOON + 20 * SECOND, "200")], hand)
        price, source = markets_of(venue, hand).latest_price("tape", SYMBOL, NOON + 10 * SECOND)
        assert (str(price), source) == ("100", "last trade")

    def test_the_newest_of_very_many_trades_is_found(self) -> None:
        tape = [
            a_trade(NOON + timedelta(milliseconds=10 * place), str(1000 + place)) for place in range(2500)
        ]
        assert self.price(tape, NOON + 24 * SECOND) == ("3400", "last trade")

    def test_nothing_at_all_is_stale(self) -> None:
        with pytest.raises(DataStale, match="neither a recent trade nor a 1-minute candle"):
            self.price([], NOON)
