"""Higher timeframes put together from lower ones, against Binance's own bars of every timeframe."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from missiondesk.market.aggregate import aggregate
from missiondesk.market.candles import THURSDAY, Candles, timeframe_milliseconds
from models.errors import InputRefused

COLUMNS = ("open", "high", "low", "close", "volume")
PUBLISHED = ["1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "8h", "12h", "1d"]
STEPS = [
    (lower, higher)
    for lower, higher in combinations(PUBLISHED, 2)
    if timeframe_milliseconds(higher) % timeframe_milliseconds(lower) == 0
]


def minutes(*places: int, volume: float = 0.1) -> Candles:
    """1-minute candles at the given minutes; open, high, low, close tell the place."""
    rows = [[60_000 * place, place + 1, place + 9, place - 9, place + 2, volume] for place in places]
    return Candles.from_rows(rows, "1m", "BTC/USD")


@pytest.mark.parametrize(("lower", "higher"), STEPS)
def test_bars_equal_those_the_venue_publishes(shared_data: Path, lower: str, higher: str) -> None:
    folder = shared_data / "ohlcv" / "binance_resample_ref"

    def closed(timeframe: str) -> Candles:
        table = np.loadtxt(folder / f"ETH-BTC_{timeframe}.csv.gz", delimiter=",", skiprows=1)
        return Candles.from_rows(table.tolist(), timeframe)[:-1]

    built, published = aggregate(closed(lower), higher).complete(), closed(higher)
    _, ours, theirs = np.intersect1d(built.open_time, published.open_time, return_indices=True)
    within = published.open_time >= closed(lower).open_time[0]
    assert len(ours) >= within.sum() - 2  # the 2h file itself lacks a bar
    for column in COLUMNS:
        assert getattr(built, column)[ours].tolist() == getattr(published, column)[theirs].tolist()


def test_incomplete_bars_say_how_much_they_lack() -> None:
    built = aggregate(minutes(3, 4, 5, 6, 7, 8, 9, 10, 12), "5m")
    assert built.candles.open_time.tolist() == [0, 300_000, 600_000]
    assert built.missing.tolist() == [3, 0, 3]
    complete = built.complete()
    assert (complete.open[0], complete.high[0], complete.low[0], complete.close[0]) == (6, 18, -4, 11)
    assert complete.symbol == "BTC/USD"


def test_volumes_are_added_as_decimals() -> None:
    built = aggregate(minutes(*range(10)), "5m").candles
    assert built.volume.tolist() == [0.5, 0.5]
    awkward = minutes(0, 1, 2, volume=1 / 3)
    assert aggregate(awkward, "3m").candles.volume[0] == pytest.approx(1)
    huge = minutes(0, 1, 2, volume=1e17)
    assert aggregate(huge, "3m").candles.volume[0] == 3e17


def test_weeks_follow_the_anchor() -> None:
    day = 86_400_000
    days = Candles.from_rows([[day * place, 1, 1, 1, 1, 1] for place in range(21)], "1d")
    assert aggregate(days, "1w").complete().open_time.tolist() == [4 * day, 11 * day]
    assert aggregate(days, "1w", THURSDAY).complete().open_time.tolist() == [0, 7 * day, 14 * day]


def test_no_candles_make_no_candles() -> None:
    assert len(aggregate(minutes(), "1h").candles) == 0


def test_timeframes_that_do_not_fit_are_refused() -> None:
    hours = Candles.from_rows([[0, 1, 1, 1, 1, 1]], "2h")
    with pytest.raises(InputRefused, match="grids do not fit"):
        aggregate(hours, "3m")
    with pytest.raises(InputRefused, match="grids do not fit"):
        aggregate(hours, "1d", anchor=3_600_000)
