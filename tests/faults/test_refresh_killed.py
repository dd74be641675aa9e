"""kill -9 in the middle of a refresh: nothing is half done, and the next hours make up for what was lost."""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from missiondesk.market.candles import to_datetime
from missiondesk.refresh.order import RefreshFailed
from missiondesk.refresh.settings import RefreshSettings
from missiondesk.refresh.steps import STEPS, Step
from missiondesk.store.database import connect
from missiondesk.store.market.ledger import Standing, standing
from tests.candle_tape import CandleTape, recorded
from tests.faults import refresh_process
from tests.faults.refresh_process import refresh_hours, refresh_step
from tests.hour_by_hour import FIVE_PAST, HOUR, TABLES, contents, expect_the_same_tables
from tests.waiting import wait_for

KILLS = int(os.environ.get("CHAOS_COUNT", "5"))
SEED = int(os.environ.get("CHAOS_SEED", "1"))

# 2016-03-01: there are hours in which nothing traded.
FIRST = 1_456_790_400_000
SYMBOLS = ("BTC/USD", "ETH/USD")
SETTINGS = RefreshSettings(symbols=SYMBOLS)
HISTORY = 900


@pytest.fixture(scope="module")
def tape(shared_data: Path) -> CandleTape:
    """The weeks around `FIRST`."""
    folder, hourly = shared_data / "ohlcv" / "kraken", {}
    for symbol in SYMBOLS:
        candles = recorded(folder / f"{symbol.replace('/', '-')}_1h.csv.gz", symbol)
        around = abs(candles.open_time - FIRST) < (HISTORY + 4 * KILLS) * HOUR
        hourly[symbol] = candles[int(around.argmax()) : int(around.argmax() + around.sum())]
    return CandleTape(hourly)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = connect(database_url)
    yield engine
    engine.dispose()


class Refreshing:
    """One process at a time, forked from one that has everything loaded."""

    def __init__(self) -> None:
        self._forks = multiprocessing.get_context("forkserver")
        self._forks.set_forkserver_preload([refresh_process.__name__])
        self.process: BaseProcess | None = None

    def start(self, work: Callable[..., None], *arguments: object) -> BaseProcess:
        self.process = self._forks.Process(target=work, args=arguments, daemon=True)
        self.process.start()
        return self.process

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.join()


@pytest.fixture
def refreshing() -> Iterator[Refreshing]:
    refreshing = Refreshing()
    yield refreshing
    refreshing.kill()


def happens_while(process: BaseProcess, condition: Callable[[], bool]) -> bool:
    """Whether it came true before the process was over."""
    deadline = time.monotonic() + 60
    while process.is_alive():
        if condition():
            return True
        assert time.monotonic() < deadline
        time.sleep(0.001)
    return False


def reached(engine: Engine, step: Step, hour: int) -> bool:
    return standing(engine, step, to_datetime(hour)) is not Standing.ABSENT


def test_the_tables_are_those_of_a_run_that_nobody_disturbed(
    engine: Engine, database_url: str, other_database_url: str, tape: CandleTape, refreshing: Refreshing
) -> None:
    draw = random.Random(SEED)
    hour, cut_off = FIRST, 0
    for kill in range(KILLS):
        step, later = draw.choice(STEPS), draw.randint(0, 2)
        process = refreshing.start(
            refresh_hours, database_url, tape, SETTINGS, hour, later + 1, f"kill {kill}"
        )
        hour += later * HOUR
        happens_while(process, lambda hour=hour, step=step: reached(engine, step, hour))
        time.sleep(draw.uniform(0, 0.05))  # the instant is what is drawn
        refreshing.kill()
        # The database server may not have noticed yet that it is gone.
        unfinished = (Standing.RUNNING, Standing.CUT_OFF)
        cut_off += any(standing(engine, each, to_datetime(hour)) in unfinished for each in STEPS)
        expect_no_half_hour(engine)
        hour += draw.choice((0, HOUR))
    assert cut_off, "no kill hit a step"
    refresh_hours(database_url, tape, SETTINGS, hour, 2, "the last")

    refresh_hours(other_database_url, tape, SETTINGS, FIRST, (hour - FIRST) // HOUR + 2, "undisturbed")
    undisturbed = connect(other_database_url)
    expect_the_same_tables(engine, undisturbed)
    undisturbed.dispose()


ROWS_OF = {
    Step.INDICATORS: "indicator",
    Step.EMA_CHANNEL: "ema_channel",
    Step.MARKET_REGIME: "market_regime",
    Step.SIGNALS: "trading_signal",
}


def expect_no_half_hour(engine: Engine) -> None:
    """A step's newest row is of the candle that it remembers to have come to."""
    with engine.connect() as connection:
        for step, table in ROWS_OF.items():
            newest = f"SELECT series_id, max(open_time) AS newest FROM {table} GROUP BY series_id"  # noqa: S608
            apart = text(
                f"SELECT * FROM ({newest}) AS found JOIN series_state USING (series_id)"  # noqa: S608
                " WHERE step = :step AND newest <> last_open_time"
            )
            assert connection.execute(apart, {"step": step}).all() == [], step


class HangingTape(CandleTape):
    """Answers nothing after its first answers of the hour; whoever asks hangs until it is killed."""

    answers = 3

    def _answer(self, symbol: str, what: str) -> None:
        super()._answer(symbol, what)
        while len(self.requests) > self.answers:
            time.sleep(60)


def test_the_step_after_a_killed_one_reads_nothing_of_it(
    engine: Engine, database_url: str, tape: CandleTape, refreshing: Refreshing
) -> None:
    refresh_hours(database_url, tape, SETTINGS, FIRST, 1, "before")
    before = {table: contents(engine, table) for table in TABLES if table != "candle"}
    hour = FIRST + HOUR
    hanging = HangingTape({symbol: tape.whole(symbol, "1h") for symbol in SYMBOLS})
    process = refreshing.start(refresh_hours, database_url, hanging, SETTINGS, hour, 1, "killed")
    newest = text("SELECT count(*) FROM candle WHERE open_time = :at")

    def half_done() -> bool:
        with engine.connect() as connection:
            return connection.scalar(newest, {"at": to_datetime(FIRST)}) == 1

    assert happens_while(process, half_done)
    assert standing(engine, Step.OHLC, to_datetime(hour)) is Standing.RUNNING
    refreshing.kill()
    wait_for(
        lambda: standing(engine, Step.OHLC, to_datetime(hour)) is Standing.CUT_OFF, "its lock to be free"
    )
    tape.now = hour + FIVE_PAST
    with pytest.raises(RefreshFailed, match="did not run: ohlc was cut off for 2016-03-01 01:00 UTC"):
        refresh_step(engine, tape, SETTINGS, Step.INDICATORS, "after")
    assert {table: contents(engine, table) for table in before} == before
    # Fetched again, everything follows.
    refresh_hours(database_url, tape, SETTINGS, hour, 1, "again")
    assert standing(engine, Step.SIGNALS, to_datetime(hour)) is Standing.SUCCEEDED
