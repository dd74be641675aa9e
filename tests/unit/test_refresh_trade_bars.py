"""Candles from trades are those that were published beside them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from missiondesk.market.candles import Candles, timeframe_milliseconds, to_milliseconds
from missiondesk.refresh.trade_bars import candles_of_trades, trades_between
from models.market import Trade
from tests.candle_tape import CandleTape, recorded

START = datetime(2026, 1, 1, tzinfo=UTC)


def trades_of(path: Path) -> list[Trade]:
    rows = np.loadtxt(path, delimiter=",", skiprows=1, dtype=str)
    return [
        Trade(
            "BTC/USDT",
            side,
            Decimal(price),
            Decimal(amount),
            datetime.fromtimestamp(int(time) / 1000, UTC),
            id,
        )
        for time, id, side, price, amount in rows
    ]


@pytest.mark.parametrize("timeframe", ["1m", "5m", "15m", "1h"])
def test_recorded_trades_give_the_recorded_candles(shared_data: Path, timeframe: str) -> None:
    trades = trades_of(shared_data / "trades/kraken_BTC-USDT_2023-11.csv.gz")
    made = candles_of_trades(trades, timeframe)
    wanted = recorded(
        shared_data / f"ohlcv/kraken/BTC-USDT_{timeframe}_2023-11.csv.gz", "BTC/USDT", timeframe
    )
    # The newest of the file may lack the last trades.
    part = np.isin(made.open_time, wanted.open_time[:-1])
    assert (made.open_time[part] == wanted.open_time[:-1]).all()
    for name in ("open", "high", "low", "close"):
        assert (getattr(made, name)[part] == getattr(wanted, name)[:-1]).all(), name
    np.testing.assert_allclose(made.volume[part], wanted.volume[:-1], rtol=1e-9)


def tape(trades: list[Trade]) -> CandleTape:
    none = np.zeros(0)
    played = CandleTape({"X": Candles(none.astype(np.int64), none, none, none, none, none, "1h")}, ["1h"])
    played.trades_of["X"] = trades
    played.now = to_milliseconds(START + timedelta(days=2))
    return played


def every(minutes: int, count: int) -> list[Trade]:
    return [
        Trade("X", "buy", Decimal(1), Decimal(1), START + timedelta(minutes=minutes * number), str(number))
        for number in range(count)
    ]


def hour(number: int) -> int:
    return to_milliseconds(START) + number * timeframe_milliseconds("1h")


def test_trades_are_read_page_by_page_up_to_the_end() -> None:
    found = trades_between(tape(every(1, 2500)), "X", "1h", hour(1), hour(40), iter(range(20)))
    assert found is not None and found.until == hour(40)
    assert len(found.trades) == 39 * 60
    assert len(set(found.trades)) == len(found.trades)


def test_what_a_few_pages_hold_is_cut_to_whole_candles() -> None:
    found = trades_between(tape(every(1, 2500)), "X", "1h", hour(1), hour(40), iter(range(1)))
    assert found is not None and found.until == hour(16)
    assert len(found.trades) == 15 * 60


def test_without_a_trade_before_it_nobody_knows_whether_nothing_traded() -> None:
    assert trades_between(tape(every(1, 100)), "X", "1h", hour(-5), hour(-2), iter(range(3))) is None


def test_a_stretch_without_trades_is_known_to_its_end() -> None:
    found = trades_between(tape(every(1, 60)), "X", "1h", hour(1), hour(5), iter(range(3)))
    assert found is not None and (found.trades, found.until) == ((), hour(5))
