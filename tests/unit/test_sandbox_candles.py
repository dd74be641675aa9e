"""The sandbox's candles: recordings moved in time, generated prices, and what happens inside of one."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from missiondesk.exchanges.sandbox.bars import Bars
from missiondesk.exchanges.sandbox.generator import Generator
from missiondesk.exchanges.sandbox.market import Market
from missiondesk.exchanges.sandbox.pairs import Pair
from missiondesk.exchanges.sandbox.recording import CandleFile, Recordings
from missiondesk.exchanges.sandbox.ticks import summed, ticks_of
from models.errors import InputRefused

MINUTE, HOUR, DAY, WEEK = 60, 3600, 86_400, 604_800
ORIGIN = datetime(2026, 11, 22, 3, 4, 5, tzinfo=UTC)

a_moment = st.integers(min_value=1_500_000_000, max_value=2_000_000_000)
an_interval = st.sampled_from([5, 15, 30, 60, 240, 1440, 10080, 21600])


def assert_same(left: Bars, right: Bars) -> None:
    assert left.opened.tolist() == right.opened.tolist()
    for name in ("open", "high", "low", "close"):
        assert getattr(left, name).tolist() == getattr(right, name).tolist(), name
    assert left.volume == pytest.approx(right.volume, rel=1e-9, abs=1e-7)


class TestGenerator:
    generator = Generator([Pair.listed("BTC/USD"), Pair.listed("ETH/BTC")], seed=7)

    @settings(max_examples=25, deadline=None)
    @given(symbol=st.sampled_from(["BTC/USD", "ETH/BTC"]), minutes=an_interval, at=a_moment)
    def test_coarse_candles_are_made_of_the_fine_ones(self, symbol: str, minutes: int, at: int) -> None:
        size = minutes * MINUTE
        first = at // size * size
        fine = self.generator.bars(symbol, 1, first, first + size)
        assert len(fine) == minutes
        assert_same(fine.aggregate(minutes), self.generator.bars(symbol, minutes, first, first + size))

    @settings(max_examples=25, deadline=None)
    @given(minutes=an_interval, at=a_moment, back=st.integers(min_value=0, max_value=30))
    def test_a_candle_depends_on_seed_and_time_alone(self, minutes: int, at: int, back: int) -> None:
        size = minutes * MINUTE
        first = at // size * size
        alone = Generator([Pair.listed("BTC/USD")], seed=7).bars("BTC/USD", minutes, first, first + size)
        among_others = self.generator.bars("BTC/USD", minutes, first - back * size, first + size)
        assert_same(alone, among_others.select(slice(-1, None)))
        assert (alone.low <= np.minimum(alone.open, alone.close)).all()
        assert (alone.high >= np.maximum(alone.open, alone.close)).all()
        assert (alone.low > 0).all() and (alone.volume > 0).all()

    def test_each_candle_opens_where_the_last_one_closed(self) -> None:
        bars = self.generator.bars("BTC/USD", 1, 1_700_006_400, 1_700_006_400 + 3 * DAY)
        assert bars.open[1:].tolist() == bars.close[:-1].tolist()

    def test_another_seed_gives_other_prices(self) -> None:
        other = Generator([Pair.listed("BTC/USD")], seed=8)
        moment = (1_700_006_400, 1_700_006_400 + DAY)
        assert (
            other.bars("BTC/USD", 60, *moment).close[0]
            != self.generator.bars("BTC/USD", 60, *moment).close[0]
        )

    @pytest.mark.parametrize("minutes", [1, 5, 15, 60, 240, 1440])
    def test_every_timeframe_is_oversold_and_overbought_again_and_again(self, minutes: int) -> None:
        import talib

        last = 1_795_305_600
        bars = self.generator.bars("BTC/USD", minutes, last - 2000 * minutes * MINUTE, last)
        rsi = talib.RSI(bars.close, 14)[14:]
        oversold, overbought = rsi < 30, rsi > 70
        assert np.count_nonzero(oversold[1:] & ~oversold[:-1]) >= 5
        assert np.count_nonzero(overbought[1:] & ~overbought[:-1]) >= 5


class TestRecordings:
    def test_a_recording_plays_on_after_now_and_keeps_its_place_in_the_week(self, shared_data: Path) -> None:
        recordings = Recordings.load(shared_data / "ohlcv/binance/BTC-USDT_1m.csv.gz", ORIGIN)
        shift = recordings.shift("BTC/USDT", ORIGIN)
        assert shift % timedelta(weeks=1) == timedelta(0)
        assert timedelta(days=1) <= recordings.ends_at("BTC/USDT") - ORIGIN < timedelta(days=8)

    def test_served_candles_are_the_recorded_ones_moved(self, shared_data: Path) -> None:
        recordings = Recordings.load(shared_data / "ohlcv/binance/BTC-USDT_1m.csv.gz", ORIGIN)
        moved = int(recordings.shift("BTC/USDT", ORIGIN).total_seconds())
        now = int(ORIGIN.timestamp()) // MINUTE * MINUTE
        served = recordings.bars("BTC/USDT", 1, now - 720 * MINUTE, now)
        recorded = recordings.file("BTC/USDT").bars.between(now - 720 * MINUTE - moved, now - moved)
        assert len(served) == 720
        assert_same(served.moved(-moved), recorded)

    def test_higher_timeframes_equal_what_the_exchange_recorded_itself(self, shared_data: Path) -> None:
        minutes = Recordings.load(shared_data / "ohlcv/binance/BTC-USDT_1m.csv.gz", ORIGIN)
        fives = Recordings.load(shared_data / "ohlcv/binance/BTC-USDT_5m.csv.gz", ORIGIN)
        last = int(ORIGIN.timestamp()) // 300 * 300
        window = (last - 10 * DAY, last)
        assert_same(minutes.bars("BTC/USDT", 5, *window), fives.bars("BTC/USDT", 5, *window))

    def test_when_the_recording_ends_its_newest_weeks_begin_again(self, shared_data: Path) -> None:
        recordings = Recordings.load(shared_data / "ohlcv/binance/BTC-USDT_1m.csv.gz", ORIGIN)
        end = int(recordings.ends_at("BTC/USDT").timestamp())
        period = 8 * WEEK
        around = recordings.bars("BTC/USDT", 1, end - HOUR, end + HOUR)
        assert np.all(np.diff(around.opened) == MINUTE)
        again = recordings.bars("BTC/USDT", 1, end + period, end + period + DAY)
        assert_same(again.moved(-period), recordings.bars("BTC/USDT", 1, end, end + DAY))
        before = recordings.shift("BTC/USDT", datetime.fromtimestamp(end - 1, UTC))
        after = recordings.shift("BTC/USDT", datetime.fromtimestamp(end, UTC))
        assert after - before == timedelta(seconds=period)

    def test_missing_candles_stay_missing(self, shared_data: Path) -> None:
        recordings = Recordings.load(shared_data / "ohlcv/binance/XRP-ETH_1m.csv.gz", ORIGIN)
        now = int(ORIGIN.timestamp()) // MINUTE * MINUTE
        assert 0 < len(recordings.bars("XRP/ETH", 1, now - 720 * MINUTE, now)) < 720

    def test_of_a_folder_the_finest_file_of_each_pair_is_played(self, shared_data: Path) -> None:
        recordings = Recordings.load(shared_data / "ohlcv/binance", ORIGIN)
        assert recordings.resolution("BTC/USDT") == 1
        assert recordings.resolution("DOGE/USDT") == 60

    def test_every_recording_plays_on_with_history_behind_it(self, shared_data: Path) -> None:
        for path in sorted((shared_data / "ohlcv").glob("*/*.csv.gz")):
            file = CandleFile.read(path)
            recordings = Recordings([file], ORIGIN)
            now, size = int(ORIGIN.timestamp()), file.minutes * MINUTE
            begin = int(file.bars.opened[0] + recordings.shift(file.symbol, ORIGIN).total_seconds())
            assert recordings.ends_at(file.symbol) > ORIGIN, path
            assert now - begin > file.span * 0.4, path
            assert begin % size == 0, path

    @pytest.mark.parametrize(
        ("name", "content", "said"),
        [
            ("candles.csv", "", "expected a file name like"),
            ("BTC-USD_1m.csv", "time,price\n1,2\n", "expected the header"),
            ("BTC-USD_1m.csv", "timestamp,open,high,low,close,volume\n60000,1,1,1\n", "got rows of 4"),
            ("BTC-USD_1m.csv", "timestamp,open,high,low,close,volume\n", "got none"),
            ("BTC-USD_1m.csv", "timestamp,open,high,low,close,volume\n60000,1,1,1,x,1\n", "not a readable"),
            ("BTC-USD_1m.csv", "timestamp,open,high,low,close,volume\n61000,1,1,1,1,1\n", "open every 1 min"),
            (
                "BTC-USD_1m.csv",
                "timestamp,open,high,low,close,volume\n60000,1,1,1,1,1\n60000,1,1,1,1,1\n",
                "grow from row to row",
            ),
        ],
    )
    def test_a_file_that_is_no_recording_is_refused(
        self, tmp_path: Path, name: str, content: str, said: str
    ) -> None:
        (tmp_path / name).write_text(content)
        with pytest.raises(InputRefused, match=said):
            CandleFile.read(tmp_path / name)

    def test_a_damaged_archive_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "BTC-USD_1m.csv.gz"
        path.write_bytes(gzip.compress(b"timestamp,open,high,low,close,volume\n" * 100)[:30])
        with pytest.raises(InputRefused, match="not a readable candle file"):
            CandleFile.read(path)

    def test_a_missing_or_empty_folder_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InputRefused, match="no such file"):
            Recordings.load(tmp_path / "nowhere", ORIGIN)
        with pytest.raises(InputRefused, match="found none"):
            Recordings.load(tmp_path, ORIGIN)


class TestInsideACandle:
    price = st.floats(min_value=10, max_value=1000).map(lambda value: round(value, 2))

    @given(prices=st.lists(price, min_size=4, max_size=4), volume=st.integers(0, 10**12), minutes=an_interval)
    def test_its_trades_add_up_to_it(self, prices: list[float], volume: int, minutes: int) -> None:
        low, high = min(prices), max(prices)
        bar = Bars.of([(0, prices[0], high, low, prices[1], volume / 1e8)])
        ticks = ticks_of("BTC/USD", bar, minutes, 2)
        assert_same(summed(ticks, 0), bar)
        assert ticks.times[0] == 0 and ticks.times[-1] < minutes * MINUTE

    @settings(max_examples=25, deadline=None)
    @given(minutes=an_interval, into=st.floats(min_value=0, max_value=21600 * 60 - 1))
    def test_the_running_candle_is_the_sum_of_the_trades_so_far(self, minutes: int, into: float) -> None:
        market = Market(TestGenerator.generator)
        opened = 1_700_006_400 // (minutes * MINUTE) * (minutes * MINUTE)
        now = opened + into % (minutes * MINUTE)
        running = market.bars("BTC/USD", minutes, now, 1)
        assert_same(running, summed(market.ticks("BTC/USD", opened - 0.5, now), opened))
        assert float(market.price("BTC/USD", now)) == running.close[0]

    @settings(max_examples=25, deadline=None)
    @given(back=st.integers(0, 40 * HOUR), count=st.integers(1, 1000))
    def test_trades_after_an_instant_are_found_across_gaps(
        self, shared_data: Path, back: int, count: int
    ) -> None:
        now = ORIGIN.timestamp()
        market = Market(Recordings.load(shared_data / "ohlcv/binance/XRP-ETH_1m.csv.gz", ORIGIN))
        found = market.trades_after("XRP/ETH", now - back, now, count)
        every = market.ticks("XRP/ETH", now - back, now).traded()
        assert found.times.tolist() == every.times[:count].tolist()
        assert found.prices.tolist() == every.prices[:count].tolist()

    def test_the_first_trades_of_years_are_found_without_making_them_all(self, shared_data: Path) -> None:
        market = Market(Recordings.load(shared_data / "ohlcv/kraken/BTC-USD_1h.csv.gz", ORIGIN))
        found = market.trades_after("BTC/USD", 1, ORIGIN.timestamp(), 1000)
        assert len(found) == 1000
        assert found.prices[0] == 122

    def test_a_gap_in_a_recording_shows_a_flat_running_candle(self, tmp_path: Path) -> None:
        path = tmp_path / "BTC-USD_1m.csv"
        rows = [f"{n * 60_000},10,12,9,11,1" for n in range(100) if n not in (96, 97)]
        path.write_text("\n".join(["timestamp,open,high,low,close,volume", *rows]))
        recordings = Recordings.load(path, ORIGIN)
        market = Market(recordings)
        moved = int(recordings.shift("BTC/USD", ORIGIN).total_seconds())
        now = 96 * MINUTE + 30 + moved
        bars = market.bars("BTC/USD", 1, now, 3)
        assert bars.opened.tolist() == [each * MINUTE + moved for each in (94, 95, 96)]
        assert (bars.close[-1], bars.volume[-1]) == (11, 0)
        assert len(market.ticks("BTC/USD", now - 25, now)) == 0
